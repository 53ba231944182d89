-- Names of the account, working hours, and talks that are never closed.

CREATE TABLE users (
    -- The users of the account, from the API's list. A removed one stays, with the last name.
    user_id    INTEGER PRIMARY KEY, -- the API's id: responsible_user_id of a lead, created_by of an event
    name       TEXT,                -- as the account shows it
    is_active  INTEGER CHECK (is_active IN (0, 1)), -- 1: may log in
    fetched_at INTEGER NOT NULL,    -- the last answer that had it
    gone_at    INTEGER              -- the first answer that no longer had it; NULL: it exists
) STRICT;

CREATE TABLE pipelines (
    -- The pipelines of leads, from the API's list. A removed one stays, with the last name.
    pipeline_id INTEGER PRIMARY KEY, -- the API's id
    name        TEXT,                -- as the account shows it
    sort        INTEGER,             -- its place among them
    is_main     INTEGER CHECK (is_main IN (0, 1)),    -- 1: new leads go there
    is_archive  INTEGER CHECK (is_archive IN (0, 1)), -- 1: archived
    fetched_at  INTEGER NOT NULL,    -- the last answer that had it
    gone_at     INTEGER              -- the first answer that no longer had it; NULL: it exists
) STRICT;

CREATE TABLE statuses (
    -- The stages of pipelines. Each pipeline has 142 (won) and 143 (lost).
    pipeline_id INTEGER NOT NULL,    -- the pipeline
    status_id   INTEGER NOT NULL,    -- the API's id; 142 and 143 occur in each pipeline
    name        TEXT,                -- as the account shows it
    sort        INTEGER,             -- its place in the pipeline
    fetched_at  INTEGER NOT NULL,    -- the last answer that had it
    gone_at     INTEGER,             -- the first answer that no longer had it; NULL: it exists
    PRIMARY KEY (pipeline_id, status_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE leads (
    -- The leads of mirrored talks. A removed one stays as it last was.
    lead_id             INTEGER PRIMARY KEY, -- the API's id
    name                TEXT,                -- as the account shows it
    price               INTEGER,             -- its budget, in the account's currency
    responsible_user_id INTEGER,             -- who is responsible for it
    pipeline_id         INTEGER,             -- the pipeline that it is in
    status_id           INTEGER,             -- its stage there
    closed_at           INTEGER,             -- when it was won or lost; NULL: it is open
    fetched_at          INTEGER NOT NULL,    -- the last request for it
    gone_at             INTEGER              -- the first answer without it; NULL: it exists
) STRICT;

-- The talks of a lead.
CREATE INDEX talks_lead ON talks (lead_id) WHERE lead_id IS NOT NULL;
-- As before, and with the lead: for the views on who and which pipeline leaves clients waiting.
DROP INDEX talks_missed;
CREATE INDEX talks_missed ON talks (missed_at, talk_id, origin, changed_at, is_read, is_in_work, lead_id)
 WHERE missed_at IS NOT NULL;
DROP INDEX talk_history_missed;
CREATE INDEX talk_history_missed
    ON talk_history (missed_at, talk_id, origin, version, valid_from, valid_to, is_read, is_in_work, lead_id)
 WHERE missed_at IS NOT NULL;

-- When talks were closed, for the view open_by_day.
CREATE INDEX talk_events_closed ON talk_events (talk_id, at) WHERE type = 'talk_closed';

CREATE TABLE contacts (
    -- The clients of mirrored talks, if directory.contacts is on. A removed one stays, with the last name.
    contact_id INTEGER PRIMARY KEY, -- the API's id
    name       TEXT,                -- as the account shows it
    fetched_at INTEGER NOT NULL,    -- the last request for it
    gone_at    INTEGER              -- the first answer without it; NULL: it exists
) STRICT;

CREATE TABLE utc_offsets (
    -- The offsets of report.timezone from UTC. A local time is a time plus the seconds of the last row that begins by then.
    valid_from INTEGER PRIMARY KEY, -- the first second of this offset
    valid_to   INTEGER NOT NULL,    -- the first second of the next
    seconds    INTEGER NOT NULL     -- ahead of UTC
) STRICT;

-- UTC. The configuration replaces it.
INSERT INTO utc_offsets (valid_from, valid_to, seconds) VALUES (-9223372036854775808, 9223372036854775807, 0);

CREATE TABLE work_time (
    -- When report.work_hours and report.holidays say that the team works. Empty: they say nothing.
    opens_at       INTEGER PRIMARY KEY, -- the first second of work
    closes_at      INTEGER NOT NULL,    -- the first second after it
    day            TEXT NOT NULL,       -- the local day on which it opens: 2027-01-31
    seconds        INTEGER NOT NULL,    -- from opens_at to closes_at
    seconds_before INTEGER NOT NULL     -- the sum of these seconds of all rows before
) STRICT;

CREATE TABLE close_exemptions (
    -- Talks that auto-close never closes. Anyone with write access may insert, change and delete rows:
    --   INSERT INTO close_exemptions (contact_id, reason) VALUES (42, 'VIP');
    id          INTEGER PRIMARY KEY, -- of the row, for `talkmirror exempt remove`
    talk_id     INTEGER, -- this talk, …
    contact_id  INTEGER, -- … or all talks of this client, …
    chat_id     TEXT,    -- … or of this chat, …
    user_id     INTEGER, -- … or of leads that this user is responsible for: a lead that is not known counts as one, …
    pipeline_id INTEGER, -- … or of leads in this pipeline: a lead that is not known counts as one
    reason      TEXT,    -- why: `talkmirror why` shows it
    until       INTEGER, -- the first second at which it no longer counts; NULL: for good
    created_at  INTEGER NOT NULL DEFAULT (unixepoch()), -- when the row was inserted
    CONSTRAINT "give exactly one of talk_id, contact_id, chat_id, user_id and pipeline_id"
    CHECK ((talk_id IS NOT NULL) + (contact_id IS NOT NULL) + (chat_id IS NOT NULL) + (user_id IS NOT NULL)
           + (pipeline_id IS NOT NULL) = 1)
) STRICT;

-- The address of the account has the name that people look for.
UPDATE mirror_info SET key = 'account_url' WHERE key = 'base_url';
