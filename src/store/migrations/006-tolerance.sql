-- What the API does not always send may be NULL, and tools that name every column may fill the queue.
--
-- Constraints are taken out of the tables' definitions as SQLite's documentation of ALTER TABLE describes it for changes
-- that touch no row: a copy of a mirror of years would take minutes.

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
   SET sql = replace(replace(sql,
         'contact_id       INTEGER NOT NULL, -- the client',
         'contact_id       INTEGER,          -- the client'),
         'is_read          INTEGER NOT NULL CHECK (is_read IN (0, 1)),    -- 1: somebody',
         'is_read          INTEGER CHECK (is_read IN (0, 1)), -- 1: somebody')
 WHERE type = 'table' AND name = 'talks';
UPDATE sqlite_schema
   SET sql = replace(replace(sql, 'contact_id  INTEGER NOT NULL,', 'contact_id  INTEGER,'),
                     'is_read     INTEGER NOT NULL,', 'is_read     INTEGER,')
 WHERE type = 'table' AND name = 'talk_versions';
-- An import of ids alone gives NULL for each other column: that is its default.
UPDATE sqlite_schema SET sql = replace(sql, 'NOT NULL DEFAULT', 'NOT NULL ON CONFLICT REPLACE DEFAULT')
 WHERE type = 'table' AND name = 'talk_queue';
-- An unknown is_read is neither read nor unread.
UPDATE sqlite_schema
   SET sql = replace(sql, 'iif(is_read, NULL, updated_at)', 'iif(is_read = 0, updated_at, NULL)')
 WHERE type = 'view' AND name = 'open_talks';
UPDATE sqlite_schema
   SET sql = replace(sql, 'version * 4 + is_read * 2', 'version * 4 + coalesce(is_read, 0) * 2')
 WHERE type = 'view' AND name = 'response_sla';
UPDATE sqlite_schema SET sql = replace(sql, 'is_read = read_before', 'is_read IS read_before')
 WHERE type = 'view' AND name = 'talk_timeline';
UPDATE sqlite_schema
   SET sql = replace(sql, ' GROUP BY contact_id', ' WHERE contact_id IS NOT NULL GROUP BY contact_id')
 WHERE type = 'view' AND name = 'contact_talks';
PRAGMA writable_schema = RESET;

DROP TRIGGER IF EXISTS talk_queue_again;
CREATE TRIGGER talk_queue_again BEFORE INSERT ON talk_queue
WHEN EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = NEW.talk_id)
BEGIN
    -- Queueing an id that already waits makes it due now, takes the higher
    -- priority and clears a failure. The new ticket has it fetched once more
    -- where a fetch is under way.
    UPDATE talk_queue
       SET due_at      = min(due_at, coalesce(NEW.due_at, unixepoch())),
           reason      = CASE WHEN coalesce(NEW.priority, 0) > priority THEN coalesce(NEW.reason, 'sql') ELSE reason END,
           priority    = max(priority, coalesce(NEW.priority, 0)),
           attempts    = CASE WHEN failed_at IS NULL THEN attempts ELSE 0 END,
           last_error  = CASE WHEN failed_at IS NULL THEN last_error END,
           enqueued_at = CASE WHEN failed_at IS NULL THEN enqueued_at ELSE coalesce(NEW.enqueued_at, unixepoch()) END,
           failed_at   = NULL,
           ticket      = coalesce(NEW.ticket, random())
     WHERE talk_id = NEW.talk_id;
    SELECT RAISE(IGNORE);
END;

-- Once more, with whether the last request failed: of two in one second the times do not tell.
ALTER TABLE daemon_status RENAME TO daemon_status_before;
CREATE TABLE daemon_status (
    -- How the daemon is: one row, written by run, sync and close when it changes and
    -- at least once a minute.
    id                  INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
    mode                TEXT NOT NULL,    -- run, sync or close
    version             TEXT NOT NULL,    -- of talkmirror
    pid                 INTEGER NOT NULL, -- its process id
    started_at          INTEGER NOT NULL, -- when that process began
    stopped_at          INTEGER,          -- when it stopped in good order; NULL: it runs, or was killed
    seen_at             INTEGER NOT NULL, -- its last sign of life: when this row was written
    last_success_at     INTEGER,          -- the last answer of the API that was of use
    last_failure_at     INTEGER,          -- the last failed request
    last_failure        TEXT,             -- and how it failed
    failing_since       INTEGER,          -- since when no request succeeded; NULL: the last one did
    pause_reason        TEXT,             -- NULL: not paused; unauthorized, unpaid, blocked, rate_limited, outage,
                                          -- unexpected_answer, many_gone
    pause_detail        TEXT,             -- the answer that began the pause
    paused_at           INTEGER,          -- since when
    pause_until         INTEGER,          -- when the next probe may leave
    requests_per_second REAL NOT NULL,    -- the ceiling now: the configured one, less after a 429
    request_rate        REAL NOT NULL,    -- requests a second, mean of the last minute
    clock_skew          INTEGER,          -- seconds that this machine's clock is ahead of the API's
    not_closing         TEXT,             -- why nothing may be closed: the clock; NULL: it is right
    wal_bytes           INTEGER,          -- size of the write-ahead log, the file talks.db-wal
    wal_held_since      INTEGER,          -- since when a reader keeps it from being taken back; NULL: none does
    wal_held_by         TEXT              -- who that is, as far as it can be told
) STRICT;
INSERT INTO daemon_status (id, mode, version, pid, started_at, stopped_at, seen_at,
                           last_success_at, last_failure_at, last_failure, pause_reason, pause_detail, paused_at,
                           pause_until, requests_per_second, request_rate, clock_skew, not_closing,
                           wal_bytes, wal_held_since, wal_held_by)
SELECT id, mode, version, pid, started_at, stopped_at, seen_at,
       last_success_at, last_failure_at, last_failure, pause_reason, pause_detail, paused_at,
       pause_until, requests_per_second, request_rate, clock_skew, not_closing,
       wal_bytes, wal_held_since, wal_held_by
  FROM daemon_status_before;
DROP TABLE daemon_status_before;

CREATE TABLE odd_fields (
    -- Optional fields of talks that came in another shape than the API documents. There the talk has NULL, and its
    -- payload has what came.
    field        TEXT PRIMARY KEY NOT NULL, -- the field's name in the API
    answers      INTEGER NOT NULL, -- answers that had it so
    last_talk_id INTEGER NOT NULL, -- the talk of the last one
    last_at      INTEGER NOT NULL  -- when that came
) STRICT, WITHOUT ROWID;

CREATE TABLE talks_ahead (
    -- Talks whose updated_at was ahead of the API's own clock when it was sent: no later answer is older than that.
    talk_id     INTEGER PRIMARY KEY, -- the talk
    answered_at INTEGER NOT NULL     -- the API's clock then: the answer's Date
) STRICT;
