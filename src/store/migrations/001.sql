-- The baseline: all tables and indexes. Views and triggers are in views.sql.
--
-- Times are Unix seconds, UTC, as the API sends them; booleans are 0 or 1.

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
    updated_at       INTEGER NOT NULL, -- when it last changed in the account
    rate             INTEGER,          -- the client's rating, from the NPS bot
    contact_id       INTEGER,          -- the client
    chat_id          TEXT,             -- the chat; one chat has many talks over time
    entity_id        INTEGER,          -- what the talk is about: the id of a lead or customer
    entity_type      TEXT,             -- 'lead' or 'customer'
    is_in_work       INTEGER NOT NULL CHECK (is_in_work IN (0, 1)), -- 1: not closed
    is_read          INTEGER CHECK (is_read IN (0, 1)), -- 1: somebody read the last message
    origin           TEXT,             -- the channel: telegram, viber, …; free text
    missed_at        INTEGER,          -- when it was missed: unanswered for the time set in the account
    account_id       INTEGER NOT NULL, -- the account; the same in every row
    status           TEXT,             -- if sent: in_work, closed, with_error, nps_scheduled, nps_in_progress
    source_id        TEXT,             -- if sent: the source, a number or a string in the API
    lead_id          INTEGER,          -- _embedded.leads[0].id
    customer_id      INTEGER,          -- _embedded.customers[0].id
    payload          TEXT NOT NULL,    -- the JSON as received
    first_fetched_at INTEGER NOT NULL, -- the first fetch
    fetched_at       INTEGER NOT NULL, -- the fetch that this row shows
    version          INTEGER NOT NULL DEFAULT 1, -- which of its states this is: 1, 2, 3, …
    changed_at       INTEGER NOT NULL, -- the last fetch that brought a difference: the first that saw this state
    closed_at        INTEGER,          -- the first fetch that saw it closed
    gone_at          INTEGER,          -- the API says that it no longer exists; the row stays
    denied_at        INTEGER           -- the API refuses it to this token; the row stays
) STRICT;

-- The views answer from indexes, as a mirror may hold millions of talks. Each fetch pays for each index, so those of the
-- daemon are widened for the views.
CREATE INDEX talks_origin ON talks (origin, fetched_at, gone_at, is_in_work);
CREATE INDEX talks_contact ON talks (contact_id, created_at, is_in_work, gone_at, missed_at);
CREATE INDEX talks_chat ON talks (chat_id, created_at, is_in_work, gone_at, missed_at) WHERE chat_id IS NOT NULL;
CREATE INDEX talks_rated ON talks (updated_at, origin, rate) WHERE rate > 0;
CREATE INDEX talks_missed ON talks (missed_at, talk_id, origin, changed_at, is_read, is_in_work)
 WHERE missed_at IS NOT NULL;
CREATE INDEX talks_denied ON talks (denied_at) WHERE denied_at IS NOT NULL;
-- All that decides about the next refresh, and when a talk began and ended, for the page's last 30 days. (gone_at is NULL
-- in each entry, and listed all the same: else SQLite would look it up in the talk.)
CREATE INDEX talks_open ON talks (fetched_at, updated_at, is_read, missed_at, denied_at, gone_at, created_at)
 WHERE is_in_work = 1 AND gone_at IS NULL;
CREATE INDEX talks_closed ON talks (updated_at, fetched_at, denied_at, gone_at, closed_at, created_at)
 WHERE is_in_work = 0 AND gone_at IS NULL;
CREATE INDEX talks_gone ON talks (gone_at, closed_at, updated_at, created_at) WHERE gone_at IS NOT NULL;
-- All that decides about a talk that was missed, so that sweeps read no talk itself.
CREATE INDEX talks_open_missed ON talks (missed_at, updated_at, origin, status, denied_at)
 WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL;

CREATE TABLE talk_history (
    -- The superseded states of talks; talks has the current one, and the view talk_versions both.
    talk_id     INTEGER NOT NULL, -- as in talks
    version     INTEGER NOT NULL, -- 1, 2, 3, … for each talk
    valid_from  INTEGER NOT NULL, -- the fetch that first saw this state
    valid_to    INTEGER NOT NULL, -- the fetch that first saw the next
    created_at  INTEGER NOT NULL, -- from here on: the API's columns, as in talks
    updated_at  INTEGER NOT NULL,
    rate        INTEGER,
    contact_id  INTEGER,
    chat_id     TEXT,
    entity_id   INTEGER,
    entity_type TEXT,
    is_in_work  INTEGER NOT NULL,
    is_read     INTEGER,
    origin      TEXT,
    missed_at   INTEGER,
    account_id  INTEGER NOT NULL,
    status      TEXT,
    source_id   TEXT,
    lead_id     INTEGER,
    customer_id INTEGER,
    PRIMARY KEY (talk_id, version)
) STRICT, WITHOUT ROWID;

-- For the views on missed talks; in the order of talks_missed, so that both are merged.
CREATE INDEX talk_history_missed
    ON talk_history (missed_at, talk_id, origin, version, valid_from, valid_to, is_read, is_in_work)
 WHERE missed_at IS NOT NULL;

CREATE TABLE tombstones (
    -- Ids that were asked for and that the API says do not exist, unless a row in talks has them: that has gone_at.
    talk_id INTEGER PRIMARY KEY, -- the id that was asked for
    gone_at INTEGER NOT NULL     -- when the API last said so
) STRICT;

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

CREATE TABLE talk_queue (
    -- What is to be fetched. To have a talk fetched:
    --   INSERT INTO talk_queue (talk_id) VALUES (117);
    -- An id that already waits is no error: see the trigger talk_queue_again. An import of ids alone gives NULL for each
    -- other column, which is replaced by its default.
    talk_id     INTEGER PRIMARY KEY CHECK (talk_id > 0), -- the talk to fetch
    reason      TEXT    NOT NULL ON CONFLICT REPLACE DEFAULT 'sql',         -- who asked: sql, cli, …
    priority    INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 0,             -- higher first
    enqueued_at INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (unixepoch()), -- since when it waits
    due_at      INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (unixepoch()), -- not fetched before
    attempts    INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 0,             -- failures so far
    last_error  TEXT,                                                       -- the last failure, in words
    failed_at   INTEGER,                                                    -- when it failed for good: not fetched until `queue retry`
    ticket      INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (random())     -- new each time the id is queued: a fetch
                                                                            -- ends only the row it was begun for
) STRICT;

CREATE INDEX talk_queue_next ON talk_queue (priority DESC, due_at) WHERE failed_at IS NULL;
CREATE INDEX talk_queue_failed ON talk_queue (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE closures (
    -- Every decision to close a talk, kept for good.
    closure_id      INTEGER PRIMARY KEY, -- in the order of the decisions
    talk_id         INTEGER NOT NULL, -- the talk
    mode            TEXT NOT NULL CHECK (mode IN ('dry-run', 'live')), -- auto_close.mode at the decision
    missed_at       INTEGER,          -- the talk's missed_at that was decided on
    talk_updated_at INTEGER NOT NULL, -- the talk's updated_at as just fetched
    reason          TEXT NOT NULL,    -- why it was decided so, in words
    force_close     INTEGER NOT NULL CHECK (force_close IN (0, 1)), -- 1: at once, without the NPS bot
    decided_at      INTEGER NOT NULL, -- when it was decided; if it was retried, the first time
    requested_at    INTEGER,          -- when the last close request was about to leave
    http_status     INTEGER,          -- the answer to it; NULL: none came
    outcome         TEXT NOT NULL CHECK (outcome IN ( -- how far it is:
                        'would_close',   -- dry-run: it would have been requested; once per talk and missed_at
                        'requested',     -- written before the request leaves
                        'accepted',      -- the API took it (202)
                        'closed',        -- a later fetch saw it closed
                        'withdrawn',     -- the fetch just before closing showed that it is no longer stale
                        'refused',       -- the API refuses it to this token (403)
                        'failed')),      -- it came to nothing; see error
    verified_at     INTEGER,          -- the fetch that saw it closed
    attempts        INTEGER NOT NULL, -- close requests that may have left
    error           TEXT              -- the last error
) STRICT;

CREATE INDEX closures_talk ON closures (talk_id);
CREATE INDEX closures_decided ON closures (decided_at, closure_id, mode, outcome);
-- At most one closing of a talk is under way.
CREATE UNIQUE INDEX closures_open ON closures (talk_id) WHERE outcome IN ('requested', 'accepted');
CREATE UNIQUE INDEX closures_would ON closures (talk_id, missed_at) WHERE outcome = 'would_close';

CREATE TABLE daemon_status (
    -- How the daemon is: one row, written by run, sync and close when it changes and at least once a minute.
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
    strict_until        INTEGER,          -- until then requests leave by the strict rule after a 429; NULL: they do not
    requests_per_second REAL NOT NULL,    -- the pace now: the configured one, less after a 429
    request_rate        REAL NOT NULL,    -- requests a second, mean of the last minute
    clock_skew          INTEGER,          -- seconds that this machine's clock is ahead of the API's
    not_closing         TEXT,             -- why nothing may be closed: the clock; NULL: it is right
    wal_bytes           INTEGER,          -- size of the WAL, the file talks.db-wal
    wal_held_since      INTEGER,          -- since when a reader keeps it from being taken back; NULL: none does
    wal_held_by         TEXT,             -- who that is, as far as it is known
    known_talks         INTEGER,          -- talks that are known to exist: mirrored, or queued for their first fetch
    mirrored_talks      INTEGER,          -- of them mirrored
    complete            INTEGER CHECK (complete IN (0, 1)), -- 1: all are, the whole list was read, and no backfill runs
    complete_at         INTEGER           -- when they are, at this pace; NULL: not known, or complete
) STRICT;

CREATE TABLE feeders (
    -- What finds talks by itself: a row for each, as it last was.
    feeder        TEXT PRIMARY KEY NOT NULL, -- refresh, listing, events, webhook or backfill
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)), -- in the configuration of the daemon that runs, or ran last
    ran_at        INTEGER,          -- when it last looked; of the webhook: the last call
    found         INTEGER NOT NULL, -- ids that it put into the queue then
    found_in_all  INTEGER NOT NULL, -- ids that it ever put into the queue
    trouble       TEXT,             -- what is wrong with it; NULL: nothing
    trouble_since INTEGER,          -- since when
    warned_at     INTEGER,          -- when the journal last said so: once a day
    cursor        TEXT              -- JSON: where it continues after a restart
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_events (
    -- Events of the account that were taken in: they are read with an overlap, and count once.
    event_id   TEXT PRIMARY KEY NOT NULL, -- the API's id
    created_at INTEGER NOT NULL           -- when it happened; forgotten when the overlap is past it
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    -- How the requests are shared: the lanes of the queue, the most urgent first.
    place    INTEGER PRIMARY KEY,     -- 0 is the most urgent
    lane     TEXT NOT NULL UNIQUE,    -- closing, asked, hints, refresh or backfill
    requests INTEGER NOT NULL         -- that left for it in the five minutes before daemon_status.seen_at
) STRICT;

CREATE TABLE sizes (
    -- How large the database was, day by day: for its growth. The last 400 days.
    day            INTEGER PRIMARY KEY, -- when that day began (UTC), in Unix seconds
    database_bytes INTEGER NOT NULL,    -- the file, at the last look on that day
    free_bytes     INTEGER NOT NULL     -- of these, pages that hold nothing: they are used before the file grows
) STRICT;
