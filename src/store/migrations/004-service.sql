-- The service: how many talks were open, missed and closed on each of the last days, for the status page.

-- When a talk began and ended, in the indexes that are there, so that the days read no talk itself: a
-- further index would make each fetch dearer.
DROP INDEX talks_open;
CREATE INDEX talks_open ON talks (fetched_at, updated_at, is_read, missed_at, denied_at, gone_at, created_at)
 WHERE is_in_work = 1 AND gone_at IS NULL;
DROP INDEX talks_closed;
CREATE INDEX talks_closed ON talks (updated_at, fetched_at, denied_at, gone_at, closed_at, created_at)
 WHERE is_in_work = 0 AND gone_at IS NULL;
DROP INDEX talks_gone;
CREATE INDEX talks_gone ON talks (gone_at, closed_at, updated_at, created_at) WHERE gone_at IS NOT NULL;
