-- The lead of each talk of `told`, of a hundred users and five pipelines.
INSERT INTO users (user_id, name, is_active, fetched_at) SELECT 499 + i, 'User ' || i, 1, unixepoch() FROM n WHERE i <= 100;
INSERT INTO pipelines (pipeline_id, name, sort, is_main, is_archive, fetched_at) SELECT 7000 + i, 'Pipeline ' || i, i, i = 1, 0, unixepoch() FROM n WHERE i <= 5;
INSERT INTO statuses (pipeline_id, status_id, name, sort, fetched_at) SELECT 7000 + (i + 1) / 2, 141 + (i + 1) % 2 + 1, 'Stage', i, unixepoch() FROM n WHERE i <= 10;
INSERT INTO leads (lead_id, name, price, responsible_user_id, pipeline_id, status_id, fetched_at)
SELECT 6000000 + talk_id, 'Lead #' || talk_id, talk_id % 1000 * 100, 500 + dice, 7001 + talk_id % 5, 142 + talk_id % 2, unixepoch() FROM told;
