-- Feeders: what puts talk ids into the queue by itself, and how the requests are shared.

CREATE TABLE feeders (
    -- What finds talks by itself: a row for each, as it last was.
    feeder        TEXT PRIMARY KEY NOT NULL, -- refresh, listing, events, webhook or backfill
    enabled       INTEGER NOT NULL CHECK (enabled IN (0, 1)), -- in the configuration of the daemon that runs, or ran last
    ran_at        INTEGER,          -- when it last looked; of the webhook: the last hook
    found         INTEGER NOT NULL, -- ids that it put into the queue then
    found_in_all  INTEGER NOT NULL, -- ids that it ever put into the queue
    trouble       TEXT,             -- what is wrong with it; NULL: nothing
    trouble_since INTEGER,          -- since when
    warned_at     INTEGER,          -- when the log last said so: once a day
    cursor        TEXT              -- JSON: where it goes on after a restart
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

-- All that decides about the next refresh, so that it reads no talk itself. (gone_at is NULL in
-- each entry, and there all the same: SQLite would look it up in the talk.)
DROP INDEX talks_open;
CREATE INDEX talks_open ON talks (fetched_at, updated_at, is_read, missed_at, denied_at, gone_at)
 WHERE is_in_work = 1 AND gone_at IS NULL;
CREATE INDEX talks_closed ON talks (updated_at, fetched_at, denied_at, gone_at)
 WHERE is_in_work = 0 AND gone_at IS NULL;

DROP VIEW mirror_freshness;
CREATE VIEW mirror_freshness AS
-- How old the mirrored states are, in seconds since their fetch, by origin; the
-- row '(all)' is over all of them, and '(open)' over those in work, which are
-- kept fresh. Talks that are gone are left out.
WITH aged AS (
    SELECT coalesce(origin, '(none)') AS origin, unixepoch() - fetched_at AS age
      FROM talks WHERE gone_at IS NULL
    UNION ALL
    SELECT '(all)', unixepoch() - fetched_at
      FROM talks WHERE gone_at IS NULL
    UNION ALL
    SELECT '(open)', unixepoch() - fetched_at
      FROM talks WHERE is_in_work = 1 AND gone_at IS NULL
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
