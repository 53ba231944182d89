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

-- Which talks are open, and for how long has each client been waiting?
CREATE OR REPLACE VIEW talkmirror.open_talks AS
SELECT account_id, talk_id, origin, contact_id, chat_id, lead_id, customer_id, entity_type, entity_id, status, is_read,
       created_at, updated_at, missed_at,
       extract(epoch FROM now() - missed_at)::bigint AS missed_seconds,
       -- Since it was missed, else since the last change if it is unread.
       extract(epoch FROM now() - coalesce(missed_at, CASE WHEN NOT is_read THEN updated_at END))::bigint AS waiting_seconds,
       fetched_at
  FROM talkmirror.talks WHERE is_in_work AND gone_at IS NULL;
COMMENT ON VIEW talkmirror.open_talks IS 'Which talks are open, and for how long has each client been waiting?';
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

-- How many talks were missed on each day (UTC), and how many of them still wait?
CREATE OR REPLACE VIEW talkmirror.missed_by_day AS
SELECT account_id, day, sum(missed)::bigint AS missed, sum(still_open)::bigint AS still_open
  FROM (SELECT account_id, (missed_at AT TIME ZONE 'UTC')::date AS day, count(*) AS missed, 0 AS still_open
          FROM (SELECT DISTINCT account_id, talk_id, missed_at FROM talkmirror.talk_versions WHERE missed_at IS NOT NULL) AS misses
         GROUP BY 1, 2
        UNION ALL
        SELECT account_id, (missed_at AT TIME ZONE 'UTC')::date, 0, count(*)
          FROM talkmirror.talks WHERE is_in_work AND gone_at IS NULL AND missed_at IS NOT NULL
         GROUP BY 1, 2) AS counted
 GROUP BY account_id, day;
COMMENT ON VIEW talkmirror.missed_by_day IS 'How many talks were missed on each day (UTC), and how many of them still wait?';
COMMENT ON COLUMN talkmirror.missed_by_day.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.missed_by_day.day IS 'UTC';
COMMENT ON COLUMN talkmirror.missed_by_day.missed IS 'talks that were missed on that day';
COMMENT ON COLUMN talkmirror.missed_by_day.still_open IS 'of these, open and missed until now';

-- What did auto-close do on each day (UTC)?
CREATE OR REPLACE VIEW talkmirror.closures_by_day AS
SELECT account_id, (decided_at AT TIME ZONE 'UTC')::date AS day, mode,
       count(*) AS decided,
       count(*) FILTER (WHERE outcome = 'would_close') AS would_close,
       count(*) FILTER (WHERE outcome = 'closed') AS closed,
       count(*) FILTER (WHERE outcome IN ('requested', 'accepted')) AS under_way,
       count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE outcome = 'refused') AS refused,
       count(*) FILTER (WHERE outcome = 'failed') AS failed
  FROM talkmirror.closures
 GROUP BY 1, 2, 3;
COMMENT ON VIEW talkmirror.closures_by_day IS 'What did auto-close do on each day (UTC)?';
COMMENT ON COLUMN talkmirror.closures_by_day.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.closures_by_day.day IS 'of the decisions, UTC';
COMMENT ON COLUMN talkmirror.closures_by_day.mode IS 'auto_close.mode: dry-run or live';
COMMENT ON COLUMN talkmirror.closures_by_day.decided IS 'all decisions';
COMMENT ON COLUMN talkmirror.closures_by_day.would_close IS 'in a dry run: would be closed';
COMMENT ON COLUMN talkmirror.closures_by_day.closed IS 'seen closed by a later fetch';
COMMENT ON COLUMN talkmirror.closures_by_day.under_way IS 'not settled yet';
COMMENT ON COLUMN talkmirror.closures_by_day.withdrawn IS 'no longer stale when it was about to be closed';
COMMENT ON COLUMN talkmirror.closures_by_day.refused IS 'the API refused';
COMMENT ON COLUMN talkmirror.closures_by_day.failed IS 'given up after repeated attempts';
