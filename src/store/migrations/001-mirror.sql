-- The mirror: what the account's talks look like, what they looked like before,
-- and which are to be fetched. Times are Unix seconds, UTC, as the API sends
-- them; booleans are 0 or 1.

PRAGMA application_id = 0x746c6b6d; -- "tlkm": a database of talkmirror

CREATE TABLE mirror_info (
    -- What identifies this mirror.
    key   TEXT PRIMARY KEY NOT NULL, -- 'account_id', …
    value TEXT NOT NULL              -- always text; account_id is the number in decimal
) STRICT, WITHOUT ROWID;

CREATE TABLE talks (
    -- One row a talk, as last fetched.
    talk_id          INTEGER PRIMARY KEY, -- the API's id; grows within an account
    created_at       INTEGER NOT NULL, -- when the talk began
    updated_at       INTEGER NOT NULL, -- when the account last changed it
    rate             INTEGER,          -- the client's rating, from the NPS bot
    contact_id       INTEGER NOT NULL, -- the client
    chat_id          TEXT,             -- the chat; one chat has many talks over time
    entity_id        INTEGER,          -- what the talk is about: the id of a lead or customer
    entity_type      TEXT,             -- 'lead' or 'customer'
    is_in_work       INTEGER NOT NULL CHECK (is_in_work IN (0, 1)), -- 1: not closed
    is_read          INTEGER NOT NULL CHECK (is_read IN (0, 1)),    -- 1: somebody read the last message
    origin           TEXT,             -- the channel: telegram, viber, …; free text
    missed_at        INTEGER,          -- when it was missed: unanswered for the time set in the account
    account_id       INTEGER NOT NULL, -- the account; the same in every row
    status           TEXT,             -- where sent: in_work, closed, with_error, nps_scheduled, nps_in_progress
    source_id        TEXT,             -- where sent: the source, a number or a string in the API
    lead_id          INTEGER,          -- _embedded.leads[0].id
    customer_id      INTEGER,          -- _embedded.customers[0].id
    payload          TEXT NOT NULL,    -- the JSON as received
    first_fetched_at INTEGER NOT NULL, -- the first fetch
    fetched_at       INTEGER NOT NULL, -- the fetch that this row shows
    changed_at       INTEGER NOT NULL, -- the last fetch that brought a difference
    closed_at        INTEGER,          -- the first fetch that saw it closed
    gone_at          INTEGER,          -- the API says that it no longer exists; the row stays
    denied_at        INTEGER           -- the API refuses it to this token; the row stays
) STRICT;

CREATE INDEX talks_chat ON talks (chat_id) WHERE chat_id IS NOT NULL;
CREATE INDEX talks_contact ON talks (contact_id);
CREATE INDEX talks_origin ON talks (origin);
CREATE INDEX talks_missed ON talks (missed_at) WHERE missed_at IS NOT NULL;
CREATE INDEX talks_open ON talks (missed_at) WHERE is_in_work = 1 AND gone_at IS NULL;
CREATE INDEX talks_gone ON talks (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX talks_denied ON talks (denied_at) WHERE denied_at IS NOT NULL;

CREATE TABLE talk_versions (
    -- One row for each state a talk was seen in, written when it differs from
    -- the one before. The state at time T:
    --   valid_from <= T AND (valid_to IS NULL OR valid_to > T)
    talk_id     INTEGER NOT NULL, -- as in talks
    version     INTEGER NOT NULL, -- 1, 2, 3, … for each talk
    valid_from  INTEGER NOT NULL, -- the fetch that first saw this state
    valid_to    INTEGER,          -- the fetch that first saw the next; NULL: current
    created_at  INTEGER NOT NULL, -- from here on: the API's columns, as in talks
    updated_at  INTEGER NOT NULL,
    rate        INTEGER,
    contact_id  INTEGER NOT NULL,
    chat_id     TEXT,
    entity_id   INTEGER,
    entity_type TEXT,
    is_in_work  INTEGER NOT NULL,
    is_read     INTEGER NOT NULL,
    origin      TEXT,
    missed_at   INTEGER,
    account_id  INTEGER NOT NULL,
    status      TEXT,
    source_id   TEXT,
    lead_id     INTEGER,
    customer_id INTEGER,
    PRIMARY KEY (talk_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE tombstones (
    -- Ids that were asked for and that the API says do not exist, where there
    -- is no row in talks to carry gone_at.
    talk_id INTEGER PRIMARY KEY, -- the id that was asked for
    gone_at INTEGER NOT NULL     -- when the API last said so
) STRICT;

CREATE TABLE talk_queue (
    -- What is to be fetched. To have a talk fetched:
    --   INSERT INTO talk_queue (talk_id) VALUES (117);
    -- An id that already waits is no error: see the trigger talk_queue_again.
    talk_id     INTEGER PRIMARY KEY CHECK (talk_id > 0), -- the talk to fetch
    reason      TEXT NOT NULL DEFAULT 'sql',             -- who asked: sql, cli, …
    priority    INTEGER NOT NULL DEFAULT 0,              -- higher first
    enqueued_at INTEGER NOT NULL DEFAULT (unixepoch()),  -- since when it waits
    due_at      INTEGER NOT NULL DEFAULT (unixepoch()),  -- not fetched before
    attempts    INTEGER NOT NULL DEFAULT 0,              -- failures so far
    last_error  TEXT,                                    -- the last failure, in words
    failed_at   INTEGER,                                 -- set aside: not tried again until retried
    ticket      INTEGER NOT NULL DEFAULT (random())      -- new each time the id is queued: a fetch
                                                         -- ends only the row it was begun for
) STRICT;

CREATE INDEX talk_queue_next ON talk_queue (priority DESC, due_at) WHERE failed_at IS NULL;
CREATE INDEX talk_queue_failed ON talk_queue (failed_at) WHERE failed_at IS NOT NULL;

CREATE TRIGGER talk_queue_id BEFORE INSERT ON talk_queue
WHEN NEW.talk_id IS NULL OR NEW.talk_id <= 0
BEGIN
    -- A NULL would become a made-up id, and 0 or less is no talk.
    SELECT RAISE(ABORT, 'talk_queue.talk_id must be a talk id: a whole number above 0');
END;

CREATE TRIGGER talk_queue_again BEFORE INSERT ON talk_queue
WHEN EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = NEW.talk_id)
BEGIN
    -- Queueing an id that already waits makes it due now, takes the higher
    -- priority and clears a failure. The new ticket has it fetched once more
    -- where a fetch is under way.
    UPDATE talk_queue
       SET due_at      = min(due_at, NEW.due_at),
           reason      = CASE WHEN NEW.priority > priority THEN NEW.reason ELSE reason END,
           priority    = max(priority, NEW.priority),
           attempts    = CASE WHEN failed_at IS NULL THEN attempts ELSE 0 END,
           last_error  = CASE WHEN failed_at IS NULL THEN last_error END,
           enqueued_at = CASE WHEN failed_at IS NULL THEN enqueued_at ELSE NEW.enqueued_at END,
           failed_at   = NULL,
           ticket      = NEW.ticket
     WHERE talk_id = NEW.talk_id;
    SELECT RAISE(IGNORE);
END;

CREATE TABLE daemon_status (
    -- How the daemon is: one row, written by run and sync when it changes and
    -- at least once a minute.
    id                  INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
    mode                TEXT NOT NULL,    -- run or sync
    version             TEXT NOT NULL,    -- of talkmirror
    pid                 INTEGER NOT NULL, -- its process id
    started_at          INTEGER NOT NULL, -- when that process began
    stopped_at          INTEGER,          -- when it stopped in good order; NULL: it runs, or was killed
    seen_at             INTEGER NOT NULL, -- its last sign of life: when this row was written
    last_success_at     INTEGER,          -- the last answer of the API that was of use
    last_failure_at     INTEGER,          -- the last failed request
    last_failure        TEXT,             -- and how it failed
    pause_reason        TEXT,             -- NULL: not paused; unauthorized, unpaid, blocked, rate_limited, outage
    pause_detail        TEXT,             -- the answer that began the pause
    paused_at           INTEGER,          -- since when
    pause_until         INTEGER,          -- when the next probe may leave
    requests_per_second REAL NOT NULL,    -- the ceiling now: the configured one, less after a 429
    request_rate        REAL NOT NULL     -- requests a second, mean of the last minute
) STRICT;

CREATE VIEW open_talks AS
-- Talks in work, with the seconds since they were missed.
SELECT talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id,
       status, is_read, created_at, updated_at, missed_at,
       unixepoch() - missed_at AS missed_seconds,
       fetched_at
  FROM talks
 WHERE is_in_work = 1 AND gone_at IS NULL;

CREATE VIEW talks_iso AS
-- The table talks with times as ISO 8601, UTC.
SELECT talk_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at, 'unixepoch') AS created_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', updated_at, 'unixepoch') AS updated_at,
       rate, contact_id, chat_id, entity_id, entity_type, is_in_work, is_read, origin,
       strftime('%Y-%m-%dT%H:%M:%SZ', missed_at, 'unixepoch') AS missed_at,
       account_id, status, source_id, lead_id, customer_id,
       strftime('%Y-%m-%dT%H:%M:%SZ', first_fetched_at, 'unixepoch') AS first_fetched_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', fetched_at, 'unixepoch') AS fetched_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', changed_at, 'unixepoch') AS changed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', closed_at, 'unixepoch') AS closed_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', gone_at, 'unixepoch') AS gone_at,
       strftime('%Y-%m-%dT%H:%M:%SZ', denied_at, 'unixepoch') AS denied_at
  FROM talks;

CREATE VIEW missed_by_day AS
-- Missed talks by the day (UTC) on which they were missed, and how many are
-- still in work.
SELECT date(missed_at, 'unixepoch') AS day,
       count(*) AS missed,
       sum(is_in_work = 1 AND gone_at IS NULL) AS still_open
  FROM talks
 WHERE missed_at IS NOT NULL
 GROUP BY day;

CREATE VIEW mirror_freshness AS
-- How old the mirrored states are, in seconds since their fetch, by origin; the
-- row '(all)' is over all of them. Talks that are gone are left out.
WITH aged AS (
    SELECT coalesce(origin, '(none)') AS origin, unixepoch() - fetched_at AS age
      FROM talks WHERE gone_at IS NULL
    UNION ALL
    SELECT '(all)', unixepoch() - fetched_at
      FROM talks WHERE gone_at IS NULL
), ranked AS (
    SELECT origin, age,
           row_number() OVER (PARTITION BY origin ORDER BY age) AS rank,
           count(*) OVER (PARTITION BY origin) AS talks
      FROM aged
)
SELECT origin, talks,
       min(CASE WHEN rank >= talks * 0.50 THEN age END) AS p50,
       min(CASE WHEN rank >= talks * 0.95 THEN age END) AS p95,
       max(age) AS max
  FROM ranked
 GROUP BY origin;
