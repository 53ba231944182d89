-- Views over all accounts. Others may build on them: a later version only adds columns, at the end.

-- How is each account?
CREATE OR REPLACE VIEW talkmirror.fleet AS
SELECT accounts.account_id, base_url, publisher, version, published_at,
       extract(epoch FROM now() - published_at)::bigint AS silent_seconds,
       held_until > now() AS is_held,
       coalesce(open, 0) AS open, coalesce(missed, 0) AS missed,
       extract(epoch FROM now() - longest_missed_at)::bigint AS longest_missed_seconds,
       (state ->> 'complete')::integer = 1 AS is_complete,
       state ->> 'pause_reason' AS pause_reason,
       to_timestamp((state ->> 'last_success_at')::bigint) AS last_success_at,
       state ->> 'not_closing' AS not_closing
  FROM talkmirror.accounts
  LEFT JOIN (SELECT account_id, count(*) AS open, count(missed_at) AS missed, min(missed_at) AS longest_missed_at
               FROM talkmirror.talks WHERE is_in_work AND gone_at IS NULL
              GROUP BY account_id) AS talks USING (account_id);
COMMENT ON VIEW talkmirror.fleet IS 'How is each account?';
COMMENT ON COLUMN talkmirror.fleet.silent_seconds IS 'since the last sign of life of its mirror';
COMMENT ON COLUMN talkmirror.fleet.is_held IS 'true: a mirror holds the account';
COMMENT ON COLUMN talkmirror.fleet.open IS 'open talks';
COMMENT ON COLUMN talkmirror.fleet.missed IS 'open talks that are marked as missed';
COMMENT ON COLUMN talkmirror.fleet.is_complete IS 'false: known talks are not mirrored yet';
COMMENT ON COLUMN talkmirror.fleet.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.fleet.base_url IS 'its address';
COMMENT ON COLUMN talkmirror.fleet.publisher IS 'the host and file of the account''s mirror';
COMMENT ON COLUMN talkmirror.fleet.version IS 'of the talkmirror that publishes';
COMMENT ON COLUMN talkmirror.fleet.published_at IS 'the last sign of life of its mirror';
COMMENT ON COLUMN talkmirror.fleet.longest_missed_seconds IS 'how long the client who has waited longest has been waiting';
COMMENT ON COLUMN talkmirror.fleet.pause_reason IS 'why everything pauses; NULL: nothing does';
COMMENT ON COLUMN talkmirror.fleet.last_success_at IS 'the last successful answer of the API';
COMMENT ON COLUMN talkmirror.fleet.not_closing IS 'why nothing is closed; NULL: closing works, or is off';

-- Which talks are open, for how long has each client been waiting, and whose client is it?
CREATE OR REPLACE VIEW talkmirror.open_talks AS
SELECT talks.account_id, talks.talk_id, talks.origin, talks.contact_id, talks.chat_id, talks.lead_id, talks.customer_id,
       talks.entity_type, talks.entity_id, talks.status, talks.is_read, talks.created_at, talks.updated_at, talks.missed_at,
       extract(epoch FROM now() - talks.missed_at)::bigint AS missed_seconds,
       -- Since it was missed, else since the last change if it is unread.
       extract(epoch FROM now() - coalesce(talks.missed_at, CASE WHEN NOT talks.is_read THEN talks.updated_at END))::bigint
           AS waiting_seconds,
       talks.fetched_at, contacts.name AS contact, leads.name AS lead, leads.price, leads.responsible_user_id,
       users.name AS responsible_user, leads.pipeline_id, pipelines.name AS pipeline, leads.status_id AS lead_status_id,
       statuses.name AS lead_status, accounts.base_url || '/leads/detail/' || talks.lead_id AS lead_url,
       accounts.base_url || '/chats/' || talks.talk_id || '/leads/detail/' || talks.lead_id AS chat_url
  FROM talkmirror.talks AS talks
  LEFT JOIN talkmirror.accounts AS accounts ON accounts.account_id = talks.account_id
  LEFT JOIN talkmirror.leads AS leads ON leads.account_id = talks.account_id AND leads.lead_id = talks.lead_id
  LEFT JOIN talkmirror.users AS users ON users.account_id = talks.account_id AND users.user_id = leads.responsible_user_id
  LEFT JOIN talkmirror.pipelines AS pipelines
    ON pipelines.account_id = talks.account_id AND pipelines.pipeline_id = leads.pipeline_id
  LEFT JOIN talkmirror.statuses AS statuses
    ON statuses.account_id = talks.account_id AND statuses.pipeline_id = leads.pipeline_id AND statuses.status_id = leads.status_id
  LEFT JOIN talkmirror.contacts AS contacts ON contacts.account_id = talks.account_id AND contacts.contact_id = talks.contact_id
 WHERE talks.is_in_work AND talks.gone_at IS NULL;
COMMENT ON VIEW talkmirror.open_talks IS 'Which talks are open, for how long has each client been waiting, and whose client is it?';
COMMENT ON COLUMN talkmirror.open_talks.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.open_talks.talk_id IS 'the talk';
COMMENT ON COLUMN talkmirror.open_talks.origin IS 'the channel: telegram, viber, …; free text';
COMMENT ON COLUMN talkmirror.open_talks.contact_id IS 'the client';
COMMENT ON COLUMN talkmirror.open_talks.chat_id IS 'the chat; one chat has many talks over time';
COMMENT ON COLUMN talkmirror.open_talks.lead_id IS '_embedded.leads[0].id';
COMMENT ON COLUMN talkmirror.open_talks.customer_id IS '_embedded.customers[0].id';
COMMENT ON COLUMN talkmirror.open_talks.entity_type IS 'lead or customer';
COMMENT ON COLUMN talkmirror.open_talks.entity_id IS 'what the talk is about: the id of a lead or customer';
COMMENT ON COLUMN talkmirror.open_talks.status IS 'if sent: in_work, closed, with_error, nps_scheduled, nps_in_progress';
COMMENT ON COLUMN talkmirror.open_talks.is_read IS 'true: the last message was read';
COMMENT ON COLUMN talkmirror.open_talks.created_at IS 'when the talk began';
COMMENT ON COLUMN talkmirror.open_talks.updated_at IS 'when it last changed in the account';
COMMENT ON COLUMN talkmirror.open_talks.missed_at IS 'when it was missed; NULL: not missed';
COMMENT ON COLUMN talkmirror.open_talks.missed_seconds IS 'for how long it has been missed';
COMMENT ON COLUMN talkmirror.open_talks.waiting_seconds IS 'since it was missed, else since its last change if it is unread; NULL: nobody waits';
COMMENT ON COLUMN talkmirror.open_talks.fetched_at IS 'the last fetch that found something new';
COMMENT ON COLUMN talkmirror.open_talks.contact IS 'the name of the client, if directory.contacts is on';
COMMENT ON COLUMN talkmirror.open_talks.lead IS 'the name of the lead';
COMMENT ON COLUMN talkmirror.open_talks.price IS 'the budget of the lead';
COMMENT ON COLUMN talkmirror.open_talks.responsible_user_id IS 'the user who is responsible for the lead';
COMMENT ON COLUMN talkmirror.open_talks.responsible_user IS 'the name of that user';
COMMENT ON COLUMN talkmirror.open_talks.pipeline_id IS 'the pipeline of the lead';
COMMENT ON COLUMN talkmirror.open_talks.pipeline IS 'the name of that pipeline';
COMMENT ON COLUMN talkmirror.open_talks.lead_status_id IS 'the stage of the lead';
COMMENT ON COLUMN talkmirror.open_talks.lead_status IS 'the name of that stage';
COMMENT ON COLUMN talkmirror.open_talks.lead_url IS 'the lead in the account';
COMMENT ON COLUMN talkmirror.open_talks.chat_url IS 'the talk in the account';

-- How many talks were missed on each day, and how many of them still wait?
CREATE OR REPLACE VIEW talkmirror.missed_by_day AS
SELECT account_id, day, sum(missed)::bigint AS missed, sum(still_open)::bigint AS still_open
  FROM (SELECT account_id, (missed_at AT TIME ZONE 'UTC' + coalesce((SELECT make_interval(secs => o.seconds) FROM talkmirror.utc_offsets AS o
                       WHERE o.account_id = misses.account_id AND o.valid_from <= missed_at ORDER BY o.valid_from DESC LIMIT 1), '0'))::date AS day,
               count(*) AS missed, 0 AS still_open
          FROM (SELECT DISTINCT account_id, talk_id, missed_at FROM talkmirror.talk_versions WHERE missed_at IS NOT NULL) AS misses
         GROUP BY 1, 2
        UNION ALL
        SELECT account_id, (missed_at AT TIME ZONE 'UTC' + coalesce((SELECT make_interval(secs => o.seconds) FROM talkmirror.utc_offsets AS o
                       WHERE o.account_id = talks.account_id AND o.valid_from <= missed_at ORDER BY o.valid_from DESC LIMIT 1), '0'))::date, 0, count(*)
          FROM talkmirror.talks AS talks WHERE is_in_work AND gone_at IS NULL AND missed_at IS NOT NULL
         GROUP BY 1, 2) AS counted
 GROUP BY account_id, day;
COMMENT ON VIEW talkmirror.missed_by_day IS 'How many talks were missed on each day, and how many of them still wait?';
COMMENT ON COLUMN talkmirror.missed_by_day.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.missed_by_day.day IS 'in report.timezone of the account';
COMMENT ON COLUMN talkmirror.missed_by_day.missed IS 'talks that were missed on that day';
COMMENT ON COLUMN talkmirror.missed_by_day.still_open IS 'of these, open and missed until now';

-- What did auto-close do on each day?
CREATE OR REPLACE VIEW talkmirror.closures_by_day AS
SELECT account_id, (decided_at AT TIME ZONE 'UTC' + coalesce((SELECT make_interval(secs => o.seconds) FROM talkmirror.utc_offsets AS o
                       WHERE o.account_id = closures.account_id AND o.valid_from <= decided_at ORDER BY o.valid_from DESC LIMIT 1), '0'))::date AS day, mode,
       count(*) AS decided,
       count(*) FILTER (WHERE outcome = 'would_close') AS would_close,
       count(*) FILTER (WHERE outcome = 'closed') AS closed,
       count(*) FILTER (WHERE outcome IN ('requested', 'accepted')) AS under_way,
       count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE outcome = 'refused') AS refused,
       count(*) FILTER (WHERE outcome = 'failed') AS failed
  FROM talkmirror.closures AS closures
 GROUP BY 1, 2, 3;
COMMENT ON VIEW talkmirror.closures_by_day IS 'What did auto-close do on each day?';
COMMENT ON COLUMN talkmirror.closures_by_day.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.closures_by_day.day IS 'of the decisions, in report.timezone of the account';
COMMENT ON COLUMN talkmirror.closures_by_day.mode IS 'auto_close.mode: dry-run or live';
COMMENT ON COLUMN talkmirror.closures_by_day.decided IS 'all decisions';
COMMENT ON COLUMN talkmirror.closures_by_day.would_close IS 'in a dry run: would be closed';
COMMENT ON COLUMN talkmirror.closures_by_day.closed IS 'seen closed by a later fetch';
COMMENT ON COLUMN talkmirror.closures_by_day.under_way IS 'not settled yet';
COMMENT ON COLUMN talkmirror.closures_by_day.withdrawn IS 'no longer stale when it was about to be closed';
COMMENT ON COLUMN talkmirror.closures_by_day.refused IS 'the API refused';
COMMENT ON COLUMN talkmirror.closures_by_day.failed IS 'given up after repeated attempts';

-- How long did each missed talk wait until somebody answered or closed it, and who was that?
CREATE OR REPLACE VIEW talkmirror.responses AS
WITH spells AS (
    -- A talk while it was marked as missed.
    SELECT account_id, talk_id, missed_at,
           min(origin COLLATE "C") AS origin, max(version) AS last_version, max(lead_id) AS lead_id,
           max(lead_id) FILTER (WHERE valid_to IS NULL) AS lead_now,
           (array_agg(is_in_work ORDER BY version))[1] AS was_open,
           CASE WHEN (array_agg(is_read ORDER BY version))[1] THEN NULL ELSE min(valid_from) FILTER (WHERE is_read) END AS read_at,
           min(valid_from) FILTER (WHERE NOT is_in_work) AS closed_at,
           CASE WHEN bool_and(valid_to IS NOT NULL) THEN max(valid_to) END AS ended_at
      FROM talkmirror.talk_versions WHERE missed_at IS NOT NULL
     GROUP BY account_id, talk_id, missed_at
), misses AS (
    SELECT spells.account_id, spells.talk_id, spells.missed_at, spells.origin, was_open, read_at,
           CASE WHEN was_open THEN coalesce(least(closed_at, ended_at), 'infinity') ELSE 'infinity' END AS seen_at,
           -- The closing may have ended the miss too.
           closed_at IS NOT NULL OR ended_at IS NOT NULL AND NOT next.is_in_work AS seen_closed,
           coalesce(lead_now, spells.lead_id) AS lead_id
      FROM spells
      LEFT JOIN talkmirror.talk_versions AS next
        ON next.account_id = spells.account_id AND next.talk_id = spells.talk_id AND next.version = last_version + 1
    UNION ALL
    -- No fetch saw it. The event may have been created a little before or after missed_at.
    SELECT event.account_id, event.talk_id, event.at, talks.origin, false, NULL, 'infinity', false, talks.lead_id
      FROM talkmirror.talk_events AS event
      LEFT JOIN talkmirror.talks AS talks ON talks.account_id = event.account_id AND talks.talk_id = event.talk_id
     WHERE event.type = 'talk_missed_event'
       AND NOT EXISTS (SELECT 1 FROM talkmirror.talk_versions AS version
                        WHERE version.account_id = event.account_id AND version.talk_id = event.talk_id
                          AND version.missed_at BETWEEN event.at - interval '1 minute' AND event.at + interval '1 minute')
), closed AS (
    SELECT account_id, talk_id, array_agg(missed_at) AS times
      FROM talkmirror.closures WHERE outcome = 'closed'
     GROUP BY account_id, talk_id
), responded AS (
    SELECT misses.account_id, misses.talk_id, misses.origin, misses.missed_at, misses.read_at, misses.lead_id, event.created_by,
           closed.times,
           -- The clocks of the mirror's host and of the API may differ by a minute.
           CASE WHEN event.at <= seen_at + interval '1 minute' THEN event.at ELSE nullif(seen_at, 'infinity') END AS responded_at,
           coalesce(event.at <= seen_at + interval '1 minute', false) AS by_event,
           CASE WHEN event.at <= seen_at + interval '1 minute' THEN event.type = 'talk_closed' ELSE seen_closed END AS is_closed
      FROM misses
      -- The first answer or closing since then, unless the talk was missed again before it.
      LEFT JOIN LATERAL (
          SELECT listed.at, listed.type, listed.created_by FROM talkmirror.talk_events AS listed
           WHERE listed.account_id = misses.account_id AND listed.talk_id = misses.talk_id AND listed.at >= misses.missed_at
             AND (listed.type IN ('conversation_answered', 'talk_closed')
                  OR listed.type = 'talk_missed_event' AND listed.at > misses.missed_at + interval '1 minute')
           ORDER BY listed.at, listed.type COLLATE "C", listed.created_by NULLS FIRST LIMIT 1) AS event
        ON event.type <> 'talk_missed_event'
      LEFT JOIN closed ON closed.account_id = misses.account_id AND closed.talk_id = misses.talk_id
     WHERE was_open OR event.at IS NOT NULL
)
SELECT responded.account_id, responded.talk_id, origin, missed_at, responded_at,
       -- greatest() passes over NULL.
       CASE WHEN responded_at IS NOT NULL THEN greatest(0, extract(epoch FROM responded_at - missed_at))::bigint END AS seconds,
       CASE WHEN responded_at IS NOT NULL THEN CASE WHEN is_closed THEN 'closed' ELSE 'answered' END
            WHEN read_at IS NOT NULL THEN 'read' END AS how,
       CASE WHEN responded_at IS NULL THEN NULL
            WHEN is_closed AND EXISTS (SELECT 1 FROM unnest(times) AS closed_for
                                        WHERE closed_for BETWEEN missed_at - interval '1 minute' AND missed_at + interval '1 minute')
            THEN 'talkmirror'
            WHEN by_event AND created_by IS NOT NULL THEN 'user'
            ELSE 'unknown' END AS responded_by,
       CASE WHEN by_event THEN created_by END AS user_id,
       CASE WHEN responded_at IS NOT NULL THEN CASE WHEN by_event THEN 'event' ELSE 'fetch' END END AS source,
       read_at,
       -- greatest() would make 0 of the NULL of an account that says no hours.
       CASE WHEN responded_at IS NOT NULL
            THEN (SELECT w.seconds_before + extract(epoch FROM least(greatest(responded_at, missed_at), w.closes_at) - w.opens_at)::bigint
                    FROM talkmirror.work_time AS w
                   WHERE w.account_id = responded.account_id AND w.opens_at <= greatest(responded_at, missed_at)
                   ORDER BY w.opens_at DESC LIMIT 1)
                 - (SELECT w.seconds_before + extract(epoch FROM least(missed_at, w.closes_at) - w.opens_at)::bigint
                      FROM talkmirror.work_time AS w
                     WHERE w.account_id = responded.account_id AND w.opens_at <= missed_at ORDER BY w.opens_at DESC LIMIT 1) END AS work_seconds,
       (missed_at AT TIME ZONE 'UTC' + coalesce((SELECT make_interval(secs => o.seconds) FROM talkmirror.utc_offsets AS o
                       WHERE o.account_id = responded.account_id AND o.valid_from <= missed_at ORDER BY o.valid_from DESC LIMIT 1), '0')) AS missed_local,
       responder.name AS user_name, responded.lead_id, leads.responsible_user_id, responsible.name AS responsible_user,
       leads.pipeline_id, pipelines.name AS pipeline
  FROM responded
  LEFT JOIN talkmirror.users AS responder
    ON responder.account_id = responded.account_id AND responder.user_id = CASE WHEN by_event THEN created_by END
  LEFT JOIN talkmirror.leads AS leads ON leads.account_id = responded.account_id AND leads.lead_id = responded.lead_id
  LEFT JOIN talkmirror.users AS responsible
    ON responsible.account_id = responded.account_id AND responsible.user_id = leads.responsible_user_id
  LEFT JOIN talkmirror.pipelines AS pipelines
    ON pipelines.account_id = responded.account_id AND pipelines.pipeline_id = leads.pipeline_id
 -- A gone talk no longer waits.
 WHERE responded_at IS NOT NULL
    OR NOT EXISTS (SELECT 1 FROM talkmirror.talks AS talks
                    WHERE talks.account_id = responded.account_id AND talks.talk_id = responded.talk_id AND talks.gone_at IS NOT NULL);
COMMENT ON VIEW talkmirror.responses IS 'How long did each missed talk wait until somebody answered or closed it, and who was that?';
COMMENT ON COLUMN talkmirror.responses.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.responses.talk_id IS 'the talk';
COMMENT ON COLUMN talkmirror.responses.origin IS 'the channel; NULL: none, or the talk is not mirrored';
COMMENT ON COLUMN talkmirror.responses.missed_at IS 'when it was missed';
COMMENT ON COLUMN talkmirror.responses.responded_at IS 'when it was answered or closed; NULL: the client waits';
COMMENT ON COLUMN talkmirror.responses.seconds IS 'since it was missed until then; NULL: the client waits';
COMMENT ON COLUMN talkmirror.responses.how IS 'answered, closed, or read: only read until now; NULL: not even that';
COMMENT ON COLUMN talkmirror.responses.responded_by IS 'talkmirror, user or unknown';
COMMENT ON COLUMN talkmirror.responses.user_id IS 'the user who did it, if an event says so';
COMMENT ON COLUMN talkmirror.responses.source IS 'event: exact; fetch: when the mirror saw it';
COMMENT ON COLUMN talkmirror.responses.read_at IS 'the fetch that first saw it read since it was missed';
COMMENT ON COLUMN talkmirror.responses.work_seconds IS 'of seconds, those in report.work_hours; NULL: the client waits, or nobody said them';
COMMENT ON COLUMN talkmirror.responses.missed_local IS 'missed_at by the clock of report.timezone';
COMMENT ON COLUMN talkmirror.responses.user_name IS 'the name of user_id';
COMMENT ON COLUMN talkmirror.responses.lead_id IS 'the lead that it was about';
COMMENT ON COLUMN talkmirror.responses.responsible_user_id IS 'the user who is responsible for the lead';
COMMENT ON COLUMN talkmirror.responses.responsible_user IS 'the name of that user';
COMMENT ON COLUMN talkmirror.responses.pipeline_id IS 'the pipeline of the lead';
COMMENT ON COLUMN talkmirror.responses.pipeline IS 'the name of that pipeline';

-- Which manager leaves clients waiting, and for how long?
CREATE OR REPLACE VIEW talkmirror.missed_by_user AS
SELECT account_id, responsible_user_id, max(responsible_user) AS responsible_user,
       count(*) AS missed,
       count(DISTINCT talk_id) AS missed_talks,
       count(seconds) AS responses,
       count(*) - count(seconds) AS waiting,
       extract(epoch FROM now() - min(missed_at) FILTER (WHERE seconds IS NULL))::bigint AS longest_seconds,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) AS p50,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p95,
       count(*) FILTER (WHERE seconds <= 3600) AS within_hour
  FROM talkmirror.responses
 GROUP BY account_id, responsible_user_id;
COMMENT ON VIEW talkmirror.missed_by_user IS 'Which manager leaves clients waiting, and for how long?';
COMMENT ON COLUMN talkmirror.missed_by_user.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.missed_by_user.responsible_user_id IS 'the responsible user of the lead; NULL: no lead, or it is not known';
COMMENT ON COLUMN talkmirror.missed_by_user.responsible_user IS 'the name';
COMMENT ON COLUMN talkmirror.missed_by_user.missed IS 'how often talks were missed';
COMMENT ON COLUMN talkmirror.missed_by_user.missed_talks IS 'talks that were missed at least once';
COMMENT ON COLUMN talkmirror.missed_by_user.responses IS 'how many of the misses were answered or closed';
COMMENT ON COLUMN talkmirror.missed_by_user.waiting IS 'how many still wait';
COMMENT ON COLUMN talkmirror.missed_by_user.longest_seconds IS 'since the longest waiting was missed';
COMMENT ON COLUMN talkmirror.missed_by_user.p50 IS 'seconds until then: half of the responses came as soon';
COMMENT ON COLUMN talkmirror.missed_by_user.p95 IS 'and 95 % of them';
COMMENT ON COLUMN talkmirror.missed_by_user.within_hour IS 'responses within an hour';

-- In which pipeline do clients wait, and for how long?
CREATE OR REPLACE VIEW talkmirror.missed_by_pipeline AS
SELECT account_id, pipeline_id, max(pipeline) AS pipeline,
       count(*) AS missed,
       count(DISTINCT talk_id) AS missed_talks,
       count(seconds) AS responses,
       count(*) - count(seconds) AS waiting,
       extract(epoch FROM now() - min(missed_at) FILTER (WHERE seconds IS NULL))::bigint AS longest_seconds,
       percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds) AS p50,
       percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds) AS p95,
       count(*) FILTER (WHERE seconds <= 3600) AS within_hour
  FROM talkmirror.responses
 GROUP BY account_id, pipeline_id;
COMMENT ON VIEW talkmirror.missed_by_pipeline IS 'In which pipeline do clients wait, and for how long?';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.pipeline_id IS 'the pipeline of the lead; NULL: no lead, or it is not known';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.pipeline IS 'the name';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.missed IS 'how often talks were missed';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.missed_talks IS 'talks that were missed at least once';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.responses IS 'how many of the misses were answered or closed';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.waiting IS 'how many still wait';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.longest_seconds IS 'since the longest waiting was missed';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.p50 IS 'seconds until then: half of the responses came as soon';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.p95 IS 'and 95 % of them';
COMMENT ON COLUMN talkmirror.missed_by_pipeline.within_hour IS 'responses within an hour';
