-- For analysts: views in the words of the trade, and what is told of the database itself.

CREATE TABLE sizes (
    -- How large the database was, day by day: for its growth. The last 400 days.
    day            INTEGER PRIMARY KEY, -- when that day began (UTC), in Unix seconds
    database_bytes INTEGER NOT NULL,    -- the file, at the last look on that day
    free_bytes     INTEGER NOT NULL     -- of these, pages that hold nothing: they are used before the file grows
) STRICT;

-- Once more, with the write-ahead log.
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
    pause_reason        TEXT,             -- NULL: not paused; unauthorized, unpaid, blocked, rate_limited, outage
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
INSERT INTO daemon_status SELECT *, NULL, NULL, NULL FROM daemon_status_before;
DROP TABLE daemon_status_before;
