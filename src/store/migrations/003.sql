-- What happened to talks is kept.

CREATE TABLE talk_events (
    -- What happened to talks, from the API's list of events. Nothing is removed.
    event_id   TEXT PRIMARY KEY NOT NULL, -- the API's id
    talk_id    INTEGER NOT NULL, -- the talk, mirrored or not
    type       TEXT NOT NULL,    -- talk_created, talk_closed, talk_missed_event, conversation_answered, or another of the API
    at         INTEGER NOT NULL, -- when it happened
    created_by INTEGER           -- the user who did it; NULL: no user did it, or it is not known
) STRICT;

-- With the columns by which the views find an answer or a closing.
CREATE INDEX talk_events_talk ON talk_events (talk_id, at, type, created_by);
CREATE INDEX talk_events_at ON talk_events (at);
CREATE INDEX talk_events_missed ON talk_events (talk_id, at) WHERE type = 'talk_missed_event';

-- Only the ids of the last minutes, without their talks.
DROP TABLE seen_events;
