-- The baseline: all tables and indexes. Views and triggers are in views.sql.
--
-- Times are Unix seconds, UTC, as the API sends them; booleans are 0 or 1.

PRAGMA application_id = 0x746c6b6d; -- "tlkm": a database of talkmirror

CREATE TABLE mirror_info (
    -- What identifies this mirror, and other state by key.
    key   TEXT PRIMARY KEY NOT NULL, -- 'account_id', …
    value TEXT NOT NULL              -- always text; account_id is the number in decimal
) STRICT, WITHOUT ROWID;

CREATE TABLE talks (
    -- One row per talk, as last fetched.
    talk_id          INTEGER PRIMARY KEY, -- the API's id; grows within an account
    created_at       INTEGER NOT NULL, -- when the talk began
    updated_at       INTEGER NOT NULL, -- when it last changed in the account
    rate             INTEGER,          -- the client's rating, from the NPS bot
    contact_id       INTEGER,          -- the client
    chat_id          TEXT,             -- the chat; one chat has many talks over time
    entity_id        INTEGER,          -- what the talk is about: the id of a lead or customer
    entity_type      TEXT,             -- 'lead' or 'customer'
    is_in_work       INTEGER NOT NULL CHECK (is_in_work IN (0, 1)), -- 1: open
    is_read          INTEGER CHECK (is_read IN (0, 1)), -- 1: the last message was read
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
    version          INTEGER NOT NULL DEFAULT 1, -- the number of this state: 1, 2, 3, …
    changed_at       INTEGER NOT NULL, -- the first fetch that saw this state
    closed_at        INTEGER,          -- the first fetch that saw it closed
    gone_at          INTEGER,          -- the API reports that it no longer exists; the row stays
    denied_at        INTEGER           -- this token may not read it; the row stays
) STRICT;

-- The views answer from indexes, because a mirror may hold millions of talks. Each fetch pays for each index, so the
-- daemon's indexes are widened for the views.
CREATE INDEX talks_origin ON talks (origin, fetched_at, gone_at, is_in_work);
CREATE INDEX talks_contact ON talks (contact_id, created_at, is_in_work, gone_at, missed_at);
CREATE INDEX talks_chat ON talks (chat_id, created_at, is_in_work, gone_at, missed_at) WHERE chat_id IS NOT NULL;
CREATE INDEX talks_rated ON talks (updated_at, origin, rate) WHERE rate > 0;
CREATE INDEX talks_missed ON talks (missed_at, talk_id, origin, changed_at, is_read, is_in_work)
 WHERE missed_at IS NOT NULL;
CREATE INDEX talks_denied ON talks (denied_at) WHERE denied_at IS NOT NULL;
-- Everything that decides about the next refresh, and when a talk began and ended, for the page's last 30 days. (gone_at is
-- NULL in each entry, but listed, because otherwise SQLite would read it from the talk.)
CREATE INDEX talks_open ON talks (fetched_at, updated_at, is_read, missed_at, denied_at, gone_at, created_at)
 WHERE is_in_work = 1 AND gone_at IS NULL;
CREATE INDEX talks_closed ON talks (updated_at, fetched_at, denied_at, gone_at, closed_at, created_at)
 WHERE is_in_work = 0 AND gone_at IS NULL;
CREATE INDEX talks_gone ON talks (gone_at, closed_at, updated_at, created_at) WHERE gone_at IS NOT NULL;
-- Everything that decides about a missed talk, so that sweeps read no talk.
CREATE INDEX talks_open_missed ON talks (missed_at, updated_at, origin, status, denied_at)
 WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL;

CREATE TABLE talk_history (
    -- The superseded states of talks. The table talks has the current one, and the view talk_versions both.
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

-- For the views on missed talks, in the order of talks_missed, so that both can be merged.
CREATE INDEX talk_history_missed
    ON talk_history (missed_at, talk_id, origin, version, valid_from, valid_to, is_read, is_in_work)
 WHERE missed_at IS NOT NULL;

CREATE TABLE tombstones (
    -- Requested ids that the API reports as missing. An id with a row in talks has gone_at there instead.
    talk_id INTEGER PRIMARY KEY, -- the requested id
    gone_at INTEGER NOT NULL     -- when the API last reported that
) STRICT;

CREATE TABLE odd_fields (
    -- Optional fields of talks with a value of a shape that the API does not document. The talk has NULL there, and
    -- its payload has the value.
    field        TEXT PRIMARY KEY NOT NULL, -- the field's name in the API
    answers      INTEGER NOT NULL, -- how many responses had such a value
    last_talk_id INTEGER NOT NULL, -- the talk of the last such response
    last_at      INTEGER NOT NULL  -- when it came
) STRICT, WITHOUT ROWID;

CREATE TABLE talks_ahead (
    -- Talks whose updated_at was ahead of the API's own clock when it was sent. No later response is older.
    talk_id     INTEGER PRIMARY KEY, -- the talk
    answered_at INTEGER NOT NULL     -- the API's clock then: the Date of the response
) STRICT;

CREATE TABLE talk_queue (
    -- The talks to fetch. To have a talk fetched:
    --   INSERT INTO talk_queue (talk_id) VALUES (117);
    -- An id that already waits is not an error: see the trigger talk_queue_again. An import of only ids gives NULL for
    -- each other column, which its default replaces.
    talk_id     INTEGER PRIMARY KEY CHECK (talk_id > 0), -- the talk to fetch
    reason      TEXT    NOT NULL ON CONFLICT REPLACE DEFAULT 'sql',         -- who queued it: sql, cli, …
    priority    INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 0,             -- higher first
    enqueued_at INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (unixepoch()), -- since when it waits
    due_at      INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (unixepoch()), -- not fetched before
    attempts    INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT 0,             -- failures so far
    last_error  TEXT,                                                       -- the last failure
    failed_at   INTEGER,                                                    -- when it failed: not fetched until `queue retry`
    ticket      INTEGER NOT NULL ON CONFLICT REPLACE DEFAULT (random())     -- new each time the id is queued: a fetch
                                                                            -- only removes the row that it was started for
) STRICT;

CREATE INDEX talk_queue_next ON talk_queue (priority DESC, due_at) WHERE failed_at IS NULL;
CREATE INDEX talk_queue_failed ON talk_queue (failed_at) WHERE failed_at IS NOT NULL;

CREATE TABLE closures (
    -- Every decision to close a talk. Never removed.
    closure_id      INTEGER PRIMARY KEY, -- in the order of the decisions
    talk_id         INTEGER NOT NULL, -- the talk
    mode            TEXT NOT NULL CHECK (mode IN ('dry-run', 'live')), -- auto_close.mode at the decision
    missed_at       INTEGER,          -- the talk's missed_at that was decided on
    talk_updated_at INTEGER NOT NULL, -- the talk's updated_at as just fetched
    reason          TEXT NOT NULL,    -- the reason of the decision
    force_close     INTEGER NOT NULL CHECK (force_close IN (0, 1)), -- 1: at once, without the NPS bot
    decided_at      INTEGER NOT NULL, -- when it was decided; if it was retried, the first time
    requested_at    INTEGER,          -- when the last close request was about to leave
    http_status     INTEGER,          -- the response's status; NULL: no response
    outcome         TEXT NOT NULL CHECK (outcome IN ( -- its state:
                        'would_close',   -- dry-run: it would have been requested; once per talk and missed_at
                        'requested',     -- written before the request leaves
                        'accepted',      -- the API took it (202)
                        'closed',        -- a later fetch saw it closed
                        'withdrawn',     -- the fetch just before closing showed that it is no longer stale
                        'refused',       -- the API refused it to this token (403)
                        'failed')),      -- not closed; see error
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
    -- The state of the daemon: one row, written by run, sync and close when it changes and at least once a minute.
    id                  INTEGER PRIMARY KEY CHECK (id = 1), -- always 1
    mode                TEXT NOT NULL,    -- run, sync or close
    version             TEXT NOT NULL,    -- of talkmirror
    pid                 INTEGER NOT NULL, -- its process id
    started_at          INTEGER NOT NULL, -- when that process began
    stopped_at          INTEGER,          -- when it stopped cleanly; NULL: it runs, or was killed
    seen_at             INTEGER NOT NULL, -- its last sign of life: when this row was written
    last_success_at     INTEGER,          -- the last successful response of the API
    last_failure_at     INTEGER,          -- the last failed request
    last_failure        TEXT,             -- and how it failed
    failing_since       INTEGER,          -- since when no request succeeded; NULL: the last one did
    pause_reason        TEXT,             -- NULL: not paused; unauthorized, unpaid, blocked, rate_limited, outage,
                                          -- unexpected_answer, many_gone
    pause_detail        TEXT,             -- the response that began the pause
    paused_at           INTEGER,          -- since when
    pause_until         INTEGER,          -- when the next probe may leave
    strict_until        INTEGER,          -- until when the strict rule after a 429 holds; NULL: it does not
    requests_per_second REAL NOT NULL,    -- the pace now: the configured one, less after a 429
    request_rate        REAL NOT NULL,    -- requests a second, mean of the last minute
    clock_skew          INTEGER,          -- seconds that this machine's clock is ahead of the API's
    not_closing         TEXT,             -- why nothing may be closed: a wrong clock; NULL: it is right
    wal_bytes           INTEGER,          -- size of the WAL, the file talks.db-wal
    wal_held_since      INTEGER,          -- since when a reader holds it back; NULL: none does
    wal_held_by         TEXT,             -- who that is, if known
    known_talks         INTEGER,          -- talks that are known to exist: mirrored, or queued for their first fetch
    mirrored_talks      INTEGER,          -- how many of them are mirrored
    complete            INTEGER CHECK (complete IN (0, 1)), -- 1: all are, the whole list was read, and no backfill runs
    complete_at         INTEGER           -- when they will be, at this pace; NULL: not known, or complete
) STRICT;

CREATE TABLE feeders (
    -- What finds talks automatically: one row each, with its last state.
    feeder        TEXT PRIMARY KEY NOT NULL, -- refresh, listing, events, past_events, directory, webhook or backfill
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)), -- in the configuration of the running or last daemon
    ran_at        INTEGER,          -- its last run; of the webhook: the last call
    found         INTEGER NOT NULL, -- ids that it queued then
    found_in_all  INTEGER NOT NULL, -- ids that it has queued in all
    trouble       TEXT,             -- its error; NULL: none
    trouble_since INTEGER,          -- since when
    warned_at     INTEGER,          -- when it was last logged: once a day
    cursor        TEXT              -- JSON: where it continues after a restart
) STRICT, WITHOUT ROWID;

CREATE TABLE seen_events (
    -- Events of the account that were processed. They are read with an overlap, and each counts once.
    event_id   TEXT PRIMARY KEY NOT NULL, -- the API's id
    created_at INTEGER NOT NULL           -- when it happened; removed when it is older than the overlap
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    -- How requests are shared: the lanes of the queue, most urgent first.
    place    INTEGER PRIMARY KEY,     -- 0 is the most urgent
    lane     TEXT NOT NULL UNIQUE,    -- closing, asked, hints, unmirrored or refresh
    requests INTEGER NOT NULL         -- its requests in the five minutes before daemon_status.seen_at
) STRICT;

CREATE TABLE sizes (
    -- The size of the database by day, to show its growth. The last 400 days.
    day            INTEGER PRIMARY KEY, -- when that day began (UTC), in Unix seconds
    database_bytes INTEGER NOT NULL,    -- the size of the file, last measured on that day
    free_bytes     INTEGER NOT NULL     -- the unused part of it, which fills before the file grows
) STRICT;
