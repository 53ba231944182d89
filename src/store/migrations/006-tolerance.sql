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
UPDATE sqlite_schema
   SET sql = replace(sql, 'rate_limited, outage', 'rate_limited, outage, unexpected_answer, many_gone')
 WHERE type = 'table' AND name = 'daemon_status';
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
