-- All views and triggers. They hold no data, and each start updates them to this text (`schema.rs`), so a change here
-- needs no migration. The views are the analysts' interface: each begins with its question and comments each column. They
-- only use the SQL of SQLite 3.38, which DuckDB's extension has.

CREATE TRIGGER talk_queue_id BEFORE INSERT ON talk_queue
WHEN NEW.talk_id IS NULL OR NEW.talk_id <= 0
BEGIN
    -- A NULL would become an invented id, and 0 or less is not a talk.
    SELECT RAISE(ABORT, 'talk_queue.talk_id must be a talk id: a whole number above 0');
END;

CREATE TRIGGER talk_queue_again BEFORE INSERT ON talk_queue
WHEN EXISTS (SELECT 1 FROM talk_queue WHERE talk_id = NEW.talk_id)
BEGIN
    -- Queueing an id that already waits makes it due now, takes the higher priority and clears a failure. If a fetch
    -- is under way, the new ticket causes one more fetch.
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

CREATE VIEW talk_versions AS
-- In which states was each talk seen, and from when to when? The state at time T:
--   valid_from <= T AND (valid_to IS NULL OR valid_to > T)
SELECT talk_id,     -- the API's id
       version,     -- 1, 2, 3, … for each talk
       valid_from,  -- the fetch that first saw this state
       valid_to,    -- the fetch that first saw the next; NULL: current
       created_at,  -- when the talk began
       updated_at,  -- when it last changed in the account
       rate,        -- the client's rating, from the NPS bot
       contact_id,  -- the client
       chat_id,     -- the chat; one chat has many talks over time
       entity_id,   -- what the talk is about: the id of a lead or customer
       entity_type, -- 'lead' or 'customer'
       is_in_work,  -- 1: open
       is_read,     -- 1: the last message was read
       origin,      -- the channel: telegram, viber, …; free text
       missed_at,   -- when it was missed: unanswered for the time set in the account
       account_id,  -- the account; the same in every row
       status,      -- if sent: in_work, closed, with_error, nps_scheduled, nps_in_progress
       source_id,   -- if sent: the source, a number or a string in the API
       lead_id,     -- _embedded.leads[0].id
       customer_id  -- _embedded.customers[0].id
  FROM talk_history
 -- The current states, in two parts, so that a query for open talks uses their index. The NULL has the column's type,
 -- because otherwise SQLite could not query the parts separately.
 UNION ALL
 SELECT talk_id, version, changed_at, CAST(NULL AS INTEGER), created_at, updated_at, rate, contact_id, chat_id,
        entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, lead_id, customer_id
   FROM talks WHERE gone_at IS NULL
 UNION ALL
 SELECT talk_id, version, changed_at, CAST(NULL AS INTEGER), created_at, updated_at, rate, contact_id, chat_id,
        entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id, status, source_id, lead_id, customer_id
   FROM talks WHERE gone_at IS NOT NULL;

CREATE VIEW talks_iso AS
-- What does a talk look like, with readable times? The table talks, with times as ISO 8601, UTC. closed_at is the best
-- known time: the event's, else updated_at of the first closed state, else the fetch that saw it.
WITH ended AS (
    SELECT talk_id AS closed_talk, closed_at AS seen_at,
           -- Since it was last seen open.
           (SELECT max(at) FROM talk_events AS event
             WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'
               AND at >= coalesce((SELECT max(valid_from) FROM talk_history AS before
                                    WHERE before.talk_id = talks.talk_id AND before.is_in_work = 1), 0) - 60) AS event_at,
           coalesce((SELECT updated_at FROM talk_history AS before
                      WHERE before.talk_id = talks.talk_id AND before.is_in_work = 0 AND valid_from >= talks.closed_at
                      ORDER BY before.version LIMIT 1), updated_at) AS changed_at
      FROM talks WHERE is_in_work = 0
)
SELECT talk_id,          -- the API's id
       strftime('%Y-%m-%dT%H:%M:%SZ', created_at, 'unixepoch') AS created_at, -- when the talk began
       strftime('%Y-%m-%dT%H:%M:%SZ', updated_at, 'unixepoch') AS updated_at, -- when the account last changed it
       rate,             -- the client's rating, from the NPS bot
       contact_id,       -- the client
       chat_id,          -- the chat; one chat has many talks over time
       entity_id,        -- what the talk is about: the id of a lead or customer
       entity_type,      -- 'lead' or 'customer'
       is_in_work,       -- 1: open
       is_read,          -- 1: the last message was read
       origin,           -- the channel: telegram, viber, …
       strftime('%Y-%m-%dT%H:%M:%SZ', missed_at, 'unixepoch') AS missed_at, -- when it was missed
       account_id,       -- the account
       status,           -- if sent: in_work, closed, with_error, nps_scheduled, nps_in_progress
       source_id,        -- if sent: the source
       lead_id,          -- the lead it is linked with
       customer_id,      -- the customer it is linked with
       strftime('%Y-%m-%dT%H:%M:%SZ', first_fetched_at, 'unixepoch') AS first_fetched_at, -- the first fetch
       strftime('%Y-%m-%dT%H:%M:%SZ', fetched_at, 'unixepoch') AS fetched_at, -- the fetch that this row shows
       strftime('%Y-%m-%dT%H:%M:%SZ', talks.changed_at, 'unixepoch') AS changed_at, -- the last fetch that found a change
       strftime('%Y-%m-%dT%H:%M:%SZ', coalesce(event_at, iif(ended.changed_at <= seen_at, ended.changed_at, NULL), seen_at),
                'unixepoch') AS closed_at, -- when it was closed: see closed_source
       strftime('%Y-%m-%dT%H:%M:%SZ', gone_at, 'unixepoch') AS gone_at, -- the API reports that it no longer exists
       strftime('%Y-%m-%dT%H:%M:%SZ', denied_at, 'unixepoch') AS denied_at, -- this token may not read it
       CASE WHEN seen_at IS NULL THEN NULL WHEN event_at IS NOT NULL THEN 'event'
            WHEN ended.changed_at <= seen_at THEN 'updated_at' ELSE 'fetch' END AS closed_source -- where closed_at is from: event, updated_at or fetch
  FROM talks LEFT JOIN ended ON closed_talk = talk_id;

CREATE VIEW open_talks AS
-- Which talks are open, for how long has each client been waiting, and whose client is it?
SELECT talks.talk_id AS talk_id, -- the talk
       origin,           -- the channel
       talks.contact_id AS contact_id, -- the client
       chat_id,          -- the chat
       talks.lead_id AS lead_id, -- the lead it is linked with
       customer_id,      -- the customer it is linked with
       entity_type,      -- what it is about: 'lead' or 'customer'
       entity_id,        -- and which one
       status,           -- if the account sends it
       is_read,          -- 1: the last message was read
       created_at,       -- when it began
       updated_at,       -- when the account last changed it
       missed_at,        -- when it was missed; NULL: it was answered in time, or its time is not over
       unixepoch() - missed_at AS missed_seconds, -- since it was missed
       -- Since it was missed, else since the last change if it is unread.
       unixepoch() - coalesce(missed_at, iif(is_read = 0, updated_at, NULL)) AS waiting_seconds, -- NULL: the client does not wait
       talks.fetched_at AS fetched_at, -- the fetch that this row shows
       contacts.name AS contact, -- the name of the client, if directory.contacts is on
       leads.name AS lead, -- the name of the lead
       leads.price AS price, -- the budget of the lead
       leads.responsible_user_id AS responsible_user_id, -- the user who is responsible for the lead
       users.name AS responsible_user, -- the name of that user
       leads.pipeline_id AS pipeline_id, -- the pipeline of the lead
       pipelines.name AS pipeline, -- the name of that pipeline
       leads.status_id AS lead_status_id, -- the stage of the lead
       statuses.name AS lead_status, -- the name of that stage
       account.value || '/leads/detail/' || talks.lead_id AS lead_url, -- the lead in the account
       account.value || '/chats/' || talks.talk_id || '/leads/detail/' || talks.lead_id AS chat_url -- the talk in the account
  FROM talks
  LEFT JOIN leads ON leads.lead_id = talks.lead_id
  LEFT JOIN users ON users.user_id = leads.responsible_user_id
  LEFT JOIN pipelines ON pipelines.pipeline_id = leads.pipeline_id
  LEFT JOIN statuses ON statuses.pipeline_id = leads.pipeline_id AND statuses.status_id = leads.status_id
  LEFT JOIN contacts ON contacts.contact_id = talks.contact_id
  LEFT JOIN mirror_info AS account ON account.key = 'account_url'
 WHERE is_in_work = 1 AND talks.gone_at IS NULL;

CREATE VIEW stale_talks AS
-- Which talks would auto-close close now? Judged by the mirror alone and by the rules of the running configuration
-- (mirror_info, 'auto_close.rules'; without it the defaults: 24 h missed, 15 min quiet). Talks that close_exemptions
-- keeps are not among them, nor those of which the mirror does not know whether it does. A fetch just before closing
-- decides.
WITH rules AS (
    SELECT coalesce(max(value ->> 'stale_after'), 86400) AS stale_after,
           coalesce(max(value ->> 'quiet_for'), 900) AS quiet_for,
           coalesce(max(value -> 'only_origins'), '[]') AS only_origins,
           coalesce(max(value -> 'except_origins'), '[]') AS except_origins,
           max(value ->> 'work_time') IS NOT NULL AS in_work_time
      FROM mirror_info WHERE key = 'auto_close.rules'
), due AS (
    SELECT CASE WHEN in_work_time
                -- So much working time has passed since.
                THEN (SELECT opens_at + done - stale_after - seconds_before
                        FROM work_time, (SELECT seconds_before + min(unixepoch(), closes_at) - opens_at AS done
                                           FROM work_time WHERE opens_at <= unixepoch() ORDER BY opens_at DESC LIMIT 1)
                       WHERE opens_at <= unixepoch() AND seconds_before < done - stale_after
                       ORDER BY opens_at DESC LIMIT 1)
                ELSE unixepoch() - stale_after END AS missed_before
      FROM rules
), exempt AS (
    SELECT talk_id, contact_id, lower(trim(chat_id)) AS chat_id, user_id, pipeline_id
      FROM close_exemptions WHERE until IS NULL OR until > unixepoch()
)
SELECT talk_id,          -- the talk
       origin,           -- the channel
       contact_id,       -- the client
       chat_id,          -- the chat
       lead_id,          -- the lead it is linked with
       customer_id,      -- the customer it is linked with
       is_read,          -- 1: the last message was read
       missed_at,        -- when it was missed
       unixepoch() - missed_at AS missed_seconds, -- since then
       updated_at,       -- when the account last changed it
       unixepoch() - updated_at AS quiet_seconds, -- since then
       fetched_at        -- the fetch that this row shows
  FROM rules, due, talks INDEXED BY talks_open_missed
 WHERE is_in_work = 1 AND gone_at IS NULL AND denied_at IS NULL
   AND coalesce(status, '') IN ('', 'in_work', 'with_error')
   AND missed_at < missed_before
   AND updated_at < unixepoch() - quiet_for
   AND (only_origins = '[]' OR origin IN (SELECT value FROM json_each(only_origins)))
   AND (origin IS NULL OR origin NOT IN (SELECT value FROM json_each(except_origins)))
   AND talk_id NOT IN (SELECT exempt.talk_id FROM exempt WHERE exempt.talk_id IS NOT NULL)
   AND NOT coalesce(contact_id IN (SELECT exempt.contact_id FROM exempt WHERE exempt.contact_id IS NOT NULL), 1)
   AND NOT coalesce(lower(trim(chat_id)) IN (SELECT exempt.chat_id FROM exempt WHERE exempt.chat_id IS NOT NULL), 0)
   AND NOT ((lead_id IS NOT NULL OR coalesce(entity_type = 'lead', 0))
            AND (coalesce((SELECT responsible_user_id FROM leads
                            WHERE leads.lead_id = coalesce(talks.lead_id, talks.entity_id) AND leads.gone_at IS NULL
                              AND leads.fetched_at BETWEEN unixepoch() - 2 * 86400 AND unixepoch() + 60)
                          IN (SELECT user_id FROM exempt WHERE user_id IS NOT NULL), 1)
                 OR coalesce((SELECT leads.pipeline_id FROM leads
                               WHERE leads.lead_id = coalesce(talks.lead_id, talks.entity_id) AND leads.gone_at IS NULL
                                 AND leads.fetched_at BETWEEN unixepoch() - 2 * 86400 AND unixepoch() + 60)
                             IN (SELECT pipeline_id FROM exempt WHERE pipeline_id IS NOT NULL), 1)));

CREATE VIEW missed_by_day AS
-- How many talks were missed on each day, and how many of them still wait? A talk that was missed, answered and missed
-- again counts each time.
SELECT date(day * 86400, 'unixepoch') AS day, -- the day on which they were missed, in report.timezone
       sum(missed) AS missed,                 -- talks missed on this day
       sum(still_open) AS still_open,         -- how many of them are still open and marked as missed
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM (SELECT (missed_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= missed_at ORDER BY valid_from DESC LIMIT 1)) / 86400 AS day,
               count(*) AS missed, 0 AS still_open
          FROM (SELECT missed_at, talk_id FROM talk_history WHERE missed_at IS NOT NULL
                UNION
                SELECT missed_at, talk_id FROM talks WHERE missed_at IS NOT NULL
                ORDER BY missed_at, talk_id)
         GROUP BY 1
        UNION ALL
        SELECT (missed_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= missed_at ORDER BY valid_from DESC LIMIT 1)) / 86400, 0, count(*)
          FROM talks WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL
         GROUP BY 1)
 GROUP BY day;

CREATE VIEW missed_by_origin AS
-- On which channels are talks missed?
SELECT coalesce(origin, '(none)') AS origin, -- the channel
       sum(talks) AS talks,                  -- talks that began on it
       sum(missed) AS missed,                -- how often a talk was missed
       sum(missed_talks) AS missed_talks,    -- talks that were missed at least once
       round(100.0 * sum(missed_talks) / nullif(sum(talks), 0), 1) AS missed_percent, -- of its talks
       sum(still_open) AS still_open,        -- open talks that are marked as missed now
       unixepoch() - min(oldest) AS longest_seconds, -- since the longest missed of those
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM (SELECT origin, count(*) AS talks, 0 AS missed, 0 AS missed_talks, 0 AS still_open, NULL AS oldest
          FROM talks GROUP BY origin
        UNION ALL
        SELECT origin, 0, count(*), count(DISTINCT talk_id), 0, NULL
          FROM (SELECT missed_at, talk_id, origin FROM talk_history WHERE missed_at IS NOT NULL
                UNION
                SELECT missed_at, talk_id, origin FROM talks WHERE missed_at IS NOT NULL
                ORDER BY missed_at, talk_id, origin)
         GROUP BY origin
        UNION ALL
        SELECT origin, 0, 0, 0, count(*), min(missed_at)
          FROM talks WHERE is_in_work = 1 AND gone_at IS NULL AND missed_at IS NOT NULL
         GROUP BY origin)
 GROUP BY 1;

CREATE VIEW open_by_day AS
-- How many talks were open at the end of each day of the last 400, and how many began and were closed on it? A talk is
-- closed at its last talk_closed event, else when the closed state last changed, else at the fetch that first saw it
-- closed. A talk that is gone without being closed ended when the API first reported that.
WITH RECURSIVE days (day) AS (
    SELECT (unixepoch() + (SELECT seconds FROM utc_offsets WHERE valid_from <= unixepoch() ORDER BY valid_from DESC LIMIT 1)) / 86400
    UNION ALL
    SELECT day - 1 FROM days LIMIT 400
), ended AS MATERIALIZED (
    SELECT created_at, coalesce((SELECT max(at) FROM talk_events AS event
                                  WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'),
                                min(closed_at, updated_at)) AS ended_at, 1 AS is_closed
      FROM talks INDEXED BY talks_closed
     WHERE is_in_work = 0 AND gone_at IS NULL AND updated_at >= unixepoch() - 402 * 86400
    UNION ALL
    -- It may be gone before a fetch saw what its event reports.
    SELECT created_at, iif(closed_at IS NULL, gone_at,
                           coalesce((SELECT max(at) FROM talk_events AS event
                                      WHERE event.talk_id = talks.talk_id AND type = 'talk_closed'),
                                    min(closed_at, updated_at))), closed_at IS NOT NULL
      FROM talks INDEXED BY talks_gone
     WHERE gone_at >= unixepoch() - 402 * 86400
), moves (at, began, ended, closed) AS (
    SELECT min(created_at, unixepoch()), 1, 0, 0 FROM ended WHERE created_at >= unixepoch() - 402 * 86400
    UNION ALL
    -- No talk ends before it begins.
    SELECT min(max(created_at, ended_at), unixepoch()), 0, 1, is_closed FROM ended
     WHERE max(created_at, ended_at) >= unixepoch() - 402 * 86400
    UNION ALL
    SELECT min(created_at, unixepoch()), 1, 0, 0 FROM talks INDEXED BY talks_open
     WHERE is_in_work = 1 AND gone_at IS NULL AND created_at >= unixepoch() - 402 * 86400
), summed AS (
    SELECT (at + (SELECT seconds FROM utc_offsets WHERE valid_from <= at ORDER BY valid_from DESC LIMIT 1)) / 86400 AS day,
           sum(began) AS began, sum(ended) AS ended, sum(closed) AS closed
      FROM moves GROUP BY 1
)
SELECT date(days.day * 86400, 'unixepoch') AS day, -- the day, in report.timezone; today: so far
       (SELECT count(*) FROM talks INDEXED BY talks_open WHERE is_in_work = 1 AND gone_at IS NULL)
       - coalesce(sum(began - ended) OVER (ORDER BY days.day DESC
                                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS open, -- open at its end
       coalesce(began, 0) AS began, -- talks that began on it
       coalesce(closed, 0) AS closed, -- talks that were closed on it
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM days LEFT JOIN summed ON summed.day = days.day
 WHERE days.day >= (SELECT min(day) FROM summed);

CREATE VIEW responses AS
-- How long did each missed talk wait until somebody answered or closed it, and who was that? One row for each miss. The
-- account's events have the exact time. Without one it is the fetch that first saw it, so as late as the mirror's freshness.
-- A miss that was over before the talk's first fetch is only here if there is an event of its end. The lead is that of the
-- time; who is responsible for it, and its pipeline, are of today.
WITH spells AS (
    -- A talk while it was marked as missed, in superseded states, in the order of the index.
    SELECT missed_at, talk_id, min(origin) AS origin, max(version) AS last_version, max(lead_id) AS lead_id,
           min(version * 4 + coalesce(is_read, 0) * 2 + is_in_work) AS first_state,
           min(valid_from) FILTER (WHERE is_read) AS read_at,
           min(valid_from) FILTER (WHERE NOT is_in_work) AS closed_at,
           -- The next state is no longer missed, or missed again.
           max(valid_to) AS ended_at
      FROM talk_history WHERE missed_at IS NOT NULL
     GROUP BY missed_at, talk_id
), misses AS (
    -- seen_at: the fetch that first saw it answered or closed. 1 << 62 means never. last_version: of its superseded states.
    SELECT spells.missed_at, spells.talk_id, spells.origin, first_state & 1 AS was_open,
           iif(first_state & 2, NULL, coalesce(read_at, iif(now.is_read, now.changed_at, NULL))) AS read_at,
           CASE WHEN NOT first_state & 1 THEN 1 << 62
                ELSE min(coalesce(spells.closed_at, 1 << 62),
                         CASE WHEN now.talk_id IS NULL THEN ended_at
                              WHEN now.is_in_work = 0 THEN now.changed_at
                              ELSE 1 << 62 END) END AS seen_at,
           spells.closed_at IS NOT NULL OR now.is_in_work IS 0 AS seen_closed, last_version,
           coalesce(now.lead_id, spells.lead_id) AS lead_id
      -- It may still be missed.
      FROM spells LEFT JOIN talks AS now ON now.missed_at = spells.missed_at AND now.talk_id = spells.talk_id
    UNION ALL
    SELECT missed_at, talk_id, origin, is_in_work, NULL, 1 << 62, 0, NULL, lead_id
      FROM talks
     WHERE missed_at IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM talk_history AS before
                        WHERE before.missed_at = talks.missed_at AND before.talk_id = talks.talk_id)
    UNION ALL
    -- No fetch saw it. The event may have been created a little before or after missed_at.
    SELECT at, talk_id, (SELECT origin FROM talks WHERE talks.talk_id = event.talk_id), 0, NULL, 1 << 62, 0, NULL,
           (SELECT lead_id FROM talks WHERE talks.talk_id = event.talk_id)
      FROM talk_events AS event
     WHERE type = 'talk_missed_event'
       AND NOT EXISTS (SELECT 1 FROM talk_history AS before NOT INDEXED
                        WHERE before.talk_id = event.talk_id AND before.missed_at BETWEEN at - 60 AND at + 60)
       AND NOT EXISTS (SELECT 1 FROM talks AS now NOT INDEXED
                        WHERE now.talk_id = event.talk_id AND now.missed_at BETWEEN at - 60 AND at + 60)
), responded AS (
    SELECT misses.talk_id, misses.origin, misses.missed_at, misses.lead_id, read_at, created_by,
           -- The clocks of this machine and of the API may differ by a minute.
           iif(event.at <= seen_at + 60, event.at, nullif(seen_at, 1 << 62)) AS responded_at,
           coalesce(event.at <= seen_at + 60, 0) AS by_event,
           iif(event.at <= seen_at + 60, type = 'talk_closed',
               -- The closing may have ended the miss too.
               seen_closed OR coalesce((SELECT next.is_in_work FROM talk_history AS next
                                         WHERE next.talk_id = misses.talk_id AND next.version = last_version + 1),
                                       (SELECT next.is_in_work FROM talks AS next
                                         WHERE next.talk_id = misses.talk_id AND next.version = last_version + 1)) IS 0) AS is_closed
      FROM misses
      -- The first answer or closing since then, unless the talk was missed again before it.
      LEFT JOIN talk_events AS event ON event.rowid = (
          SELECT rowid FROM talk_events AS event
           WHERE event.talk_id = misses.talk_id AND at >= missed_at
             AND (type IN ('conversation_answered', 'talk_closed') OR type = 'talk_missed_event' AND at > missed_at + 60)
           ORDER BY at, type, created_by LIMIT 1) AND event.type <> 'talk_missed_event'
     WHERE was_open OR event.at IS NOT NULL
)
SELECT responded.talk_id AS talk_id, -- the talk
       origin,       -- the channel; NULL: none, or the talk is not mirrored
       missed_at,    -- when it was missed
       responded_at, -- when it was answered or closed; NULL: the client waits
       max(0, responded_at - missed_at) AS seconds, -- since it was missed until then
       CASE WHEN responded_at IS NULL THEN iif(read_at IS NULL, NULL, 'read')
            ELSE iif(is_closed, 'closed', 'answered') END AS how, -- answered, closed, or read: only read until now; NULL: not even that
       CASE WHEN responded_at IS NULL THEN NULL
            WHEN is_closed AND EXISTS (SELECT 1 FROM closures
                                        WHERE closures.talk_id = responded.talk_id AND outcome = 'closed'
                                          AND closures.missed_at BETWEEN responded.missed_at - 60 AND responded.missed_at + 60)
            THEN 'talkmirror'
            WHEN by_event AND created_by IS NOT NULL THEN 'user'
            ELSE 'unknown' END AS responded_by, -- talkmirror, user or unknown
       iif(by_event, created_by, NULL) AS user_id, -- the user who did it, if an event says so
       iif(responded_at IS NULL, NULL, iif(by_event, 'event', 'fetch')) AS source, -- event: exact; fetch: when the mirror saw it
       read_at,      -- the fetch that first saw it read since it was missed
       max(0, (SELECT seconds_before + min(responded_at, closes_at) - opens_at FROM work_time WHERE opens_at <= responded_at ORDER BY opens_at DESC LIMIT 1)
              - (SELECT seconds_before + min(missed_at, closes_at) - opens_at FROM work_time WHERE opens_at <= missed_at ORDER BY opens_at DESC LIMIT 1)) AS work_seconds, -- of seconds, those in report.work_hours; NULL: the client waits, or nobody said them
       datetime(missed_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= missed_at ORDER BY valid_from DESC LIMIT 1),
                'unixepoch') AS missed_local, -- missed_at by the clock of report.timezone: 2026-11-30 14:05:00
       responder.name AS user_name, -- the name of user_id
       responded.lead_id AS lead_id, -- the lead that it was about
       leads.responsible_user_id AS responsible_user_id, -- the user who is responsible for the lead
       responsible.name AS responsible_user, -- the name of that user
       leads.pipeline_id AS pipeline_id, -- the pipeline of the lead
       pipelines.name AS pipeline -- the name of that pipeline
  FROM responded
  LEFT JOIN users AS responder ON responder.user_id = iif(by_event, created_by, NULL)
  LEFT JOIN leads ON leads.lead_id = responded.lead_id
  LEFT JOIN users AS responsible ON responsible.user_id = leads.responsible_user_id
  LEFT JOIN pipelines ON pipelines.pipeline_id = leads.pipeline_id
 -- A gone talk no longer waits.
 WHERE responded_at IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM talks WHERE talks.talk_id = responded.talk_id AND gone_at IS NOT NULL);

CREATE VIEW response_sla AS
-- How long did missed talks wait until they were answered or closed? By the day on which they were missed and by channel: a
-- sum over responses. A talk that was only read still waits.
WITH dated AS (
    SELECT (missed_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= missed_at ORDER BY valid_from DESC LIMIT 1)) / 86400 AS day,
           origin, seconds, read_at
      FROM responses
), ranked AS (
    SELECT day, origin, seconds, read_at,
           cume_dist() OVER (PARTITION BY day, origin, seconds IS NULL ORDER BY seconds) AS share
      FROM dated
)
SELECT date(day * 86400, 'unixepoch') AS day, -- the day on which they were missed, in report.timezone
       coalesce(origin, '(none)') AS origin,  -- the channel
       count(*) AS missed,                    -- how often talks were missed: see responses
       count(seconds) AS responses,           -- how many of these were answered or closed
       count(*) - count(seconds) AS waiting,  -- how many still wait
       min(seconds) FILTER (WHERE share >= 0.50) AS p50, -- seconds until then: half of the responses came as soon,
       min(seconds) FILTER (WHERE share >= 0.95) AS p95, -- 95 % of them,
       max(seconds) AS max,                   -- and all of them
       count(*) FILTER (WHERE seconds <= 3600) AS within_hour, -- responses within an hour,
       count(*) FILTER (WHERE seconds <= 86400) AS within_day, -- and within a day
       (SELECT complete FROM daemon_status) AS complete, -- 0: known talks are not mirrored yet, so these are too low
       count(*) FILTER (WHERE seconds IS NULL AND read_at IS NOT NULL) AS read -- how many still wait but were read
  FROM ranked
 GROUP BY ranked.day, ranked.origin;

CREATE VIEW missed_by_user AS
-- Which manager leaves clients waiting, and for how long? A sum over responses, by the lead's responsible user of today.
-- Misses without a lead, or with one that is not known, are in the row of NULL.
WITH ranked AS (
    SELECT responsible_user_id, responsible_user, talk_id, missed_at, seconds,
           cume_dist() OVER (PARTITION BY responsible_user_id, seconds IS NULL ORDER BY seconds) AS share
      FROM responses
)
SELECT responsible_user_id, -- the user who is responsible for the lead
       max(responsible_user) AS responsible_user, -- its name
       count(*) AS missed,             -- how often talks were missed
       count(DISTINCT talk_id) AS missed_talks, -- talks that were missed at least once
       count(seconds) AS responses,    -- how many of the misses were answered or closed
       count(*) - count(seconds) AS waiting, -- how many still wait
       unixepoch() - min(missed_at) FILTER (WHERE seconds IS NULL) AS longest_seconds, -- since the longest waiting was missed
       min(seconds) FILTER (WHERE share >= 0.50) AS p50, -- seconds until then: half of the responses came as soon,
       min(seconds) FILTER (WHERE share >= 0.95) AS p95, -- and 95 % of them
       count(*) FILTER (WHERE seconds <= 3600) AS within_hour, -- responses within an hour
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM ranked
 GROUP BY ranked.responsible_user_id;

CREATE VIEW missed_by_pipeline AS
-- In which pipeline do clients wait, and for how long? A sum over responses, by the lead's pipeline of today.
-- Misses without a lead, or with one that is not known, are in the row of NULL.
WITH ranked AS (
    SELECT pipeline_id, pipeline, talk_id, missed_at, seconds,
           cume_dist() OVER (PARTITION BY pipeline_id, seconds IS NULL ORDER BY seconds) AS share
      FROM responses
)
SELECT pipeline_id, -- the pipeline of the lead
       max(pipeline) AS pipeline, -- its name
       count(*) AS missed,             -- how often talks were missed
       count(DISTINCT talk_id) AS missed_talks, -- talks that were missed at least once
       count(seconds) AS responses,    -- how many of the misses were answered or closed
       count(*) - count(seconds) AS waiting, -- how many still wait
       unixepoch() - min(missed_at) FILTER (WHERE seconds IS NULL) AS longest_seconds, -- since the longest waiting was missed
       min(seconds) FILTER (WHERE share >= 0.50) AS p50, -- seconds until then: half of the responses came as soon,
       min(seconds) FILTER (WHERE share >= 0.95) AS p95, -- and 95 % of them
       count(*) FILTER (WHERE seconds <= 3600) AS within_hour, -- responses within an hour
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM ranked
 GROUP BY ranked.pipeline_id;

CREATE VIEW talk_timeline AS
-- What happened to one talk?
--   SELECT time, what FROM talk_timeline WHERE talk_id = 117 ORDER BY at
WITH changes AS (
    SELECT now.talk_id, now.version, now.valid_from, now.created_at, now.updated_at, now.missed_at, now.rate,
           now.is_read, now.is_in_work, before.version IS NULL AS is_first,
           before.valid_from AS from_before, before.missed_at AS missed_before, before.is_read AS read_before,
           before.is_in_work AS open_before, before.rate AS rate_before
      FROM talk_versions AS now
      LEFT JOIN talk_history AS before ON before.talk_id = now.talk_id AND before.version = now.version - 1
), kinds (event, type) AS (
    VALUES ('opened', 'talk_created'), ('trimmed', NULL), ('missed', 'talk_missed_event'),
           ('answered', 'conversation_answered'), ('read', NULL), ('unread', NULL), ('rated', NULL),
           ('closed', 'talk_closed'), ('reopened', NULL), ('changed', NULL)
)
SELECT talk_id, -- the talk
       at,      -- when, in Unix seconds: see source
       strftime('%Y-%m-%dT%H:%M:%SZ', at, 'unixepoch') AS time, -- the same, UTC
       event,   -- opened, missed, answered, read, unread, rated, closed, reopened, changed, gone, denied, auto-close, or a type of the API
       what,    -- a description; also who did it, if known
       source,  -- event: exact; fetch: when the mirror saw it, but opened and missed have the API's time
       user_id  -- the user who did it, if an event says so
  FROM (
    SELECT talk_id, event,
           CASE event WHEN 'opened' THEN created_at
                      WHEN 'missed' THEN missed_at
                      -- It was over before its first fetch.
                      ELSE iif(version = 1, min(updated_at, valid_from), valid_from) END AS at,
           CASE event
                WHEN 'opened' THEN 'opened'
                WHEN 'trimmed' THEN 'what was before is no longer kept' || iif(is_in_work, '', '; closed by then')
                WHEN 'missed' THEN 'missed: nobody answered in time'
                WHEN 'answered' THEN 'no longer missed: answered'
                WHEN 'read' THEN 'read'
                WHEN 'unread' THEN 'unread: the client wrote'
                WHEN 'rated' THEN 'rated ' || rate || ' by the client'
                WHEN 'reopened' THEN 'opened again'
                WHEN 'changed' THEN 'changed, otherwise than in the above'
                WHEN 'closed' THEN
                     CASE WHEN EXISTS (SELECT 1 FROM closures
                                        WHERE closures.talk_id = changes.talk_id AND outcome = 'closed'
                                          AND requested_at <= valid_from
                                          -- Not before it was last seen open.
                                          AND verified_at >= coalesce(from_before, 0))
                          THEN 'closed by talkmirror' ELSE 'closed in the account' END
           END AS what, 'fetch' AS source, NULL AS user_id
      FROM changes, kinds
     WHERE CASE event
                WHEN 'opened' THEN version = 1
                WHEN 'trimmed' THEN is_first AND version > 1
                WHEN 'missed' THEN missed_at IS NOT NULL AND missed_at IS NOT missed_before
                WHEN 'answered' THEN missed_at IS NULL AND missed_before IS NOT NULL AND is_in_work = 1
                WHEN 'read' THEN is_read = 1 AND read_before = 0
                WHEN 'unread' THEN is_read = 0 AND read_before = 1
                WHEN 'rated' THEN rate > 0 AND rate IS NOT rate_before AND NOT (is_first AND version > 1)
                WHEN 'closed' THEN is_in_work = 0 AND open_before IS NOT 0 AND NOT (is_first AND version > 1)
                WHEN 'reopened' THEN is_in_work = 1 AND open_before = 0
                WHEN 'changed' THEN NOT is_first AND missed_at IS missed_before AND is_read IS read_before
                                    AND is_in_work = open_before AND (rate IS rate_before OR coalesce(rate, 0) <= 0)
           END
       -- An event has the same, with its exact time. The clocks of this machine and of the API may differ by a minute.
       AND NOT (type IS NOT NULL AND EXISTS (
               SELECT 1 FROM talk_events AS listed
                WHERE listed.talk_id = changes.talk_id AND listed.type = kinds.type
                  AND CASE event WHEN 'opened' THEN 1
                                 WHEN 'missed' THEN listed.at BETWEEN missed_at - 60 AND missed_at + 60
                                 ELSE listed.at BETWEEN coalesce(from_before, 0) - 60 AND valid_from + 60 END))
    UNION ALL
    SELECT talk_id, coalesce(kinds.event, talk_events.type), at,
           CASE talk_events.type
                WHEN 'talk_created' THEN 'opened'
                WHEN 'talk_missed_event' THEN 'missed: nobody answered in time'
                WHEN 'conversation_answered' THEN 'answered' || coalesce(' by ' || coalesce(name, 'user ' || created_by), '')
                WHEN 'talk_closed' THEN
                     CASE WHEN EXISTS (SELECT 1 FROM closures
                                        WHERE closures.talk_id = talk_events.talk_id AND outcome = 'closed'
                                          AND requested_at <= at + 60 AND verified_at >= at - 60)
                          THEN 'closed by talkmirror'
                          ELSE coalesce('closed by ' || coalesce(name, 'user ' || created_by), 'closed in the account') END
                ELSE talk_events.type
           END, 'event', created_by
      FROM talk_events
      LEFT JOIN kinds ON kinds.type = talk_events.type
      LEFT JOIN users ON users.user_id = created_by
    UNION ALL
    SELECT talk_id, 'auto-close', decided_at,
           CASE outcome WHEN 'would_close' THEN 'talkmirror would close it (dry-run): '
                        WHEN 'withdrawn' THEN 'talkmirror did not close it: '
                        WHEN 'refused' THEN 'talkmirror was refused to close it: '
                        WHEN 'failed' THEN 'talkmirror could not close it: '
                        ELSE 'talkmirror decided to close it: ' END || reason, 'fetch', NULL
      FROM closures
    UNION ALL
    SELECT talk_id, 'gone', gone_at, 'gone: the API no longer knows it', 'fetch', NULL FROM talks WHERE gone_at IS NOT NULL
    UNION ALL
    SELECT talk_id, 'denied', denied_at, 'denied: the API refuses it to this token', 'fetch', NULL
      FROM talks WHERE denied_at IS NOT NULL);

CREATE VIEW closures_by_day AS
-- What did auto-close do on each day?
WITH dated AS (
    SELECT mode, outcome,
           (decided_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= decided_at ORDER BY valid_from DESC LIMIT 1)) / 86400 AS day
      FROM closures
)
SELECT date(day * 86400, 'unixepoch') AS day,              -- the day of the decision, in report.timezone
       mode,                                               -- auto_close.mode then: dry-run or live
       count(*) AS decided,                                -- decisions, of them:
       count(*) FILTER (WHERE outcome = 'would_close') AS would_close, -- dry-run: would have been closed
       count(*) FILTER (WHERE outcome = 'closed') AS closed,           -- seen closed
       count(*) FILTER (WHERE outcome IN ('requested', 'accepted')) AS under_way, -- not seen closed yet
       count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn,     -- kept: no longer stale just before closing
       count(*) FILTER (WHERE outcome = 'refused') AS refused,         -- the API refused it (403)
       count(*) FILTER (WHERE outcome = 'failed') AS failed            -- not closed; see closures.error
  FROM dated
 GROUP BY dated.day, mode;

CREATE VIEW ratings AS
-- How do clients rate us, by day and channel? NPS is the share of promoters (9, 10) less that of
-- detractors (1 to 6), -100 to 100.
WITH dated AS (
    SELECT origin, rate,
           (updated_at + (SELECT seconds FROM utc_offsets WHERE valid_from <= updated_at ORDER BY valid_from DESC LIMIT 1)) / 86400 AS day
      FROM talks WHERE rate > 0
)
SELECT date(day * 86400, 'unixepoch') AS day,                -- the last change of the rated talk, in report.timezone
       coalesce(origin, '(none)') AS origin,                 -- the channel
       count(*) AS ratings,                                  -- talks that were rated
       round(avg(rate), 2) AS average,                       -- their mean rating
       count(*) FILTER (WHERE rate >= 9) AS promoters,       -- rated 9 or 10
       count(*) FILTER (WHERE rate IN (7, 8)) AS passives,   -- rated 7 or 8
       count(*) FILTER (WHERE rate <= 6) AS detractors,      -- rated 1 to 6
       round(100.0 * (count(*) FILTER (WHERE rate >= 9) - count(*) FILTER (WHERE rate <= 6)) / count(*)) AS nps, -- -100 to 100
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM dated
 GROUP BY dated.day, 2;

CREATE VIEW contact_talks AS
-- Who are our clients: how many talks did each have, and is one open?
SELECT contact_id,                      -- the client
       count(*) AS talks,               -- talks, including gone ones
       sum(is_in_work = 1 AND gone_at IS NULL) AS in_work, -- how many are open
       count(missed_at) AS missed,      -- how many are marked as missed now
       min(created_at) AS first_at,     -- when the first began
       max(created_at) AS last_at,      -- when the last began
       max(talk_id) AS last_talk_id,    -- the last
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM talks
 WHERE contact_id IS NOT NULL GROUP BY contact_id;

CREATE VIEW chat_talks AS
-- What is the history of each chat: how many talks, and is one open? One chat has many talks over time.
SELECT chat_id,                         -- the chat
       count(*) AS talks,               -- talks, including gone ones
       sum(is_in_work = 1 AND gone_at IS NULL) AS in_work, -- how many are open
       count(missed_at) AS missed,      -- how many are marked as missed now
       min(created_at) AS first_at,     -- when the first began
       max(created_at) AS last_at,      -- when the last began
       max(talk_id) AS last_talk_id,    -- the last
       (SELECT complete FROM daemon_status) AS complete -- 0: known talks are not mirrored yet, so these are too low
  FROM talks WHERE chat_id IS NOT NULL
 GROUP BY chat_id;

CREATE VIEW mirror_freshness AS
-- How old are the mirrored states? In seconds since their fetch, by channel. The row '(all)' covers all talks, and
-- '(open)' the open ones, which are kept fresh. Gone talks are left out. If a row covers more than 10,000 talks,
-- p50 and p95 are taken from every second, third, … talk.
WITH origins AS (
    SELECT origin, count(*) AS talks, min(fetched_at) AS oldest FROM talks WHERE gone_at IS NULL GROUP BY origin
), rows AS (
    SELECT coalesce(origin, '(none)') AS origin, talks, oldest FROM origins
    UNION ALL
    SELECT '(all)', sum(talks), min(oldest) FROM origins GROUP BY NULL
    UNION ALL
    SELECT '(open)', count(*), min(fetched_at) FROM talks WHERE is_in_work = 1 AND gone_at IS NULL
     GROUP BY NULL
), sampled AS (
    -- Sampled by a hash of the id, because the ids of one channel or of open talks may all be odd.
    SELECT coalesce(talks.origin, '(none)') AS origin, fetched_at
      FROM origins JOIN talks INDEXED BY talks_origin ON talks.origin IS origins.origin
     WHERE gone_at IS NULL AND talk_id * 7919 % 99991 % (1 + talks / 10000) = 0
    UNION ALL
    SELECT '(all)', fetched_at FROM talks
     WHERE gone_at IS NULL AND talk_id * 7919 % 99991 % (SELECT 1 + sum(talks) / 10000 FROM origins) = 0
    UNION ALL
    SELECT '(open)', fetched_at FROM talks
     WHERE is_in_work = 1 AND gone_at IS NULL
       AND talk_id * 7919 % 99991 % (SELECT 1 + talks / 10000 FROM rows WHERE origin = '(open)') = 0
), ranked AS (
    SELECT origin, fetched_at, cume_dist() OVER (PARTITION BY origin ORDER BY fetched_at DESC) AS share
      FROM sampled
)
SELECT rows.origin AS origin, -- the channel, (open) or (all)
       rows.talks AS talks,   -- mirrored talks
       unixepoch() - max(fetched_at) FILTER (WHERE share >= 0.50) AS p50, -- half of them are as fresh
       unixepoch() - max(fetched_at) FILTER (WHERE share >= 0.95) AS p95, -- 95 % of them are
       unixepoch() - oldest AS max -- all of them are
  FROM rows LEFT JOIN ranked USING (origin)
 GROUP BY rows.origin;
