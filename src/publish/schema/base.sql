-- The schema that talkmirror publishes to. Running this again changes nothing that is there.

DO $$
DECLARE
    role text;
BEGIN
    -- Roles are the whole server's. Another database of it may have made them, or makes them at this moment.
    FOREACH role IN ARRAY ARRAY['talkmirror_publisher', 'talkmirror_reader'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS talkmirror;
COMMENT ON SCHEMA talkmirror IS 'Talks of amoCRM (Kommo) accounts, published by talkmirror. Times are timestamptz.';
GRANT USAGE ON SCHEMA talkmirror TO talkmirror_publisher, talkmirror_reader;

CREATE TABLE IF NOT EXISTS talkmirror.schema_info (
    id            integer PRIMARY KEY CHECK (id = 1),
    version       integer NOT NULL,
    min_publisher integer NOT NULL
);
COMMENT ON TABLE talkmirror.schema_info IS 'The version of this schema, and the lowest version of a publisher that it takes.';
COMMENT ON COLUMN talkmirror.schema_info.id IS '1: there is one row';
COMMENT ON COLUMN talkmirror.schema_info.version IS 'grows with each addition';
COMMENT ON COLUMN talkmirror.schema_info.min_publisher IS 'the lowest version of a publisher that it takes';

CREATE TABLE IF NOT EXISTS talkmirror.accounts (
    account_id   bigint PRIMARY KEY,
    base_url     text NOT NULL,
    mirror_id    uuid NOT NULL,
    position     bigint NOT NULL,
    epoch        bigint NOT NULL,
    publisher    text NOT NULL,
    version      text NOT NULL,
    held_until   timestamptz NOT NULL,
    published_at timestamptz NOT NULL,
    state        json
);
COMMENT ON TABLE talkmirror.accounts IS 'The published accounts, and which mirror publishes each.';
COMMENT ON COLUMN talkmirror.accounts.account_id IS 'the account';
COMMENT ON COLUMN talkmirror.accounts.base_url IS 'its address';
COMMENT ON COLUMN talkmirror.accounts.mirror_id IS 'the database that publishes it';
COMMENT ON COLUMN talkmirror.accounts.position IS 'the number of the last change that is here';
COMMENT ON COLUMN talkmirror.accounts.epoch IS 'counts claims: a batch of an earlier claim changes nothing';
COMMENT ON COLUMN talkmirror.accounts.publisher IS 'the host and file of that database';
COMMENT ON COLUMN talkmirror.accounts.version IS 'of the talkmirror that publishes';
COMMENT ON COLUMN talkmirror.accounts.held_until IS 'no other mirror may claim the account before';
COMMENT ON COLUMN talkmirror.accounts.published_at IS 'the last sign of life';
COMMENT ON COLUMN talkmirror.accounts.state IS 'the mirror then: as its table daemon_status';
