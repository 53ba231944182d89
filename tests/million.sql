-- A mirror of a million talks over two years up to now: some 2 % in work, 30 % missed at some time and answered or
-- closed since, 300,000 chats, 400,000 contacts; a decision to close each.
INSERT INTO mirror_info VALUES('account_id','17029541');
CREATE TEMP TABLE n AS WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < 1000000) SELECT i FROM c;
CREATE TEMP TABLE t AS SELECT i AS talk_id,
  unixepoch() - (1000000 - i) * 63 - 60 AS created_at,
  (i * 7919) % 100 AS dice,
  3000000 + (i * 104729) % 400000 AS contact_id,
  printf('%08x-%04x-4%03x-a%03x-%012x', (i%300000)*2654435761 % 4294967296, i%300000 % 65536, i%300000 % 4096, 7, (i%300000) * 48271 % 281474976710656) AS chat_id,
  CASE (i*31) % 7 WHEN 0 THEN 'telegram' WHEN 1 THEN 'telegram' WHEN 2 THEN 'whatsapp' WHEN 3 THEN 'viber' WHEN 4 THEN 'instagram' WHEN 5 THEN 'avito' ELSE 'telegram' END AS origin,
  (i*13) % 3600 AS wait,
  i > 960000 AND i % 2 = 0 OR i % 1000 = 0 AS open
FROM n;
INSERT INTO talks (talk_id, created_at, updated_at, rate, contact_id, chat_id, entity_id, entity_type, is_in_work, is_read, origin, missed_at, account_id, lead_id, payload, first_fetched_at, fetched_at, version, changed_at, closed_at)
SELECT talk_id, created_at, created_at + 600 + wait, CASE WHEN NOT open AND dice % 4 = 0 THEN 1 + dice % 10 END, contact_id, chat_id, 6000000 + talk_id, 'lead', open, NOT open OR dice % 2, origin,
 CASE WHEN dice < 30 AND (open OR dice < 10) THEN created_at + 900 END, 17029541, 6000000 + talk_id, printf('{"talk_id":%d,"pad":"%s"}', talk_id, hex(randomblob(200))), created_at + 30, unixepoch() - (talk_id * 7) % 100000, 1 + (dice < 30) + NOT open,
 CASE WHEN NOT open THEN created_at + 1000 + wait WHEN dice < 30 THEN created_at + 930 ELSE created_at + 30 END, CASE WHEN NOT open THEN created_at + 700 + wait END
FROM t ORDER BY talk_id;
UPDATE talks SET gone_at = updated_at + 1000 WHERE talk_id % 333 = 0;
-- Superseded: as it began, unread ...
INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at, contact_id, chat_id, is_in_work, is_read, origin, account_id, lead_id)
SELECT talk_id, 1, created_at+30, created_at + CASE WHEN dice < 30 THEN 930 ELSE 1000 + wait END, created_at, created_at, contact_id, chat_id, 1, 0, origin, 17029541, 6000000 + talk_id FROM t WHERE dice < 30 OR NOT open ORDER BY talk_id;
-- ... and missed.
INSERT INTO talk_history (talk_id, version, valid_from, valid_to, created_at, updated_at, contact_id, chat_id, is_in_work, is_read, origin, missed_at, account_id, lead_id)
SELECT talk_id, 2, created_at+930, created_at + 1000 + wait, created_at, created_at+900, contact_id, chat_id, 1, 0, origin, created_at + 900, 17029541, 6000000 + talk_id FROM t WHERE dice < 30 AND NOT open ORDER BY talk_id;
INSERT INTO closures (talk_id, mode, missed_at, talk_updated_at, reason, force_close, decided_at, outcome, attempts)
SELECT talk_id, 'live', created_at + 900, created_at+600, 'missed 1 day ago, quiet for 23 h', 1, created_at + 90000, CASE talk_id % 5 WHEN 0 THEN 'withdrawn' WHEN 1 THEN 'would_close' ELSE 'closed' END, 1 FROM t;
