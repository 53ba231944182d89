-- Auto-close: what was decided about stale talks, and what became of it.

CREATE TABLE closures (
    -- Every decision to close a talk, kept for good.
    closure_id      INTEGER PRIMARY KEY, -- in the order of the decisions
    talk_id         INTEGER NOT NULL, -- the talk
    mode            TEXT NOT NULL CHECK (mode IN ('dry-run', 'live')), -- auto_close.mode at the decision
    missed_at       INTEGER,          -- the talk's missed_at that was decided on
    talk_updated_at INTEGER NOT NULL, -- the talk's updated_at as just fetched
    reason          TEXT NOT NULL,    -- why it was decided so, in words
    force_close     INTEGER NOT NULL CHECK (force_close IN (0, 1)), -- 1: at once, without the NPS bot
    decided_at      INTEGER NOT NULL, -- when it was decided; where it was tried again, the first time
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
    error           TEXT              -- the last thing that went wrong
) STRICT;

CREATE INDEX closures_talk ON closures (talk_id);
CREATE INDEX closures_decided ON closures (decided_at);
-- At most one closing of a talk is under way.
CREATE UNIQUE INDEX closures_open ON closures (talk_id) WHERE outcome IN ('requested', 'accepted');
CREATE UNIQUE INDEX closures_would ON closures (talk_id, missed_at) WHERE outcome = 'would_close';

-- All that decides about a talk that was missed, so that sweeps read no talk itself.
CREATE INDEX talks_open_missed ON talks (missed_at, updated_at, origin, status, denied_at)
 WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL;

-- Once more, with the clock.
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
    not_closing         TEXT              -- why nothing may be closed: the clock; NULL: it is right
) STRICT;
INSERT INTO daemon_status SELECT *, NULL, NULL FROM daemon_status_before;
DROP TABLE daemon_status_before;

CREATE VIEW stale_talks AS
-- Talks that auto-close would close now, by the mirror alone and by the rules of
-- the running configuration (mirror_info, 'auto_close.rules'; without it the
-- defaults: 24 h missed, 15 min quiet). The last word has a fetch just before.
WITH rules AS (
    SELECT coalesce(max(value ->> 'stale_after'), 86400) AS stale_after,
           coalesce(max(value ->> 'quiet_for'), 900) AS quiet_for,
           coalesce(max(value -> 'only_origins'), '[]') AS only_origins,
           coalesce(max(value -> 'except_origins'), '[]') AS except_origins
      FROM mirror_info WHERE key = 'auto_close.rules'
)
SELECT talk_id, origin, contact_id, chat_id, lead_id, customer_id, is_read, missed_at,
       unixepoch() - missed_at AS missed_seconds,
       updated_at,
       unixepoch() - updated_at AS quiet_seconds,
       fetched_at
  FROM rules, talks INDEXED BY talks_open_missed
 WHERE is_in_work = 1 AND gone_at IS NULL AND denied_at IS NULL
   AND coalesce(status, '') IN ('', 'in_work', 'with_error')
   AND missed_at < unixepoch() - stale_after
   AND updated_at < unixepoch() - quiet_for
   AND (only_origins = '[]' OR origin IN (SELECT value FROM json_each(only_origins)))
   AND (origin IS NULL OR origin NOT IN (SELECT value FROM json_each(except_origins)));
