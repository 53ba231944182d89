-- What changed, for publishing it elsewhere.

CREATE TABLE changes (
    -- Which talks changed, in the order of their last change: what is to be published next. Empty while [publish] is off.
    talk_id INTEGER PRIMARY KEY, -- the talk, mirrored or only known by a tombstone
    seq     INTEGER NOT NULL     -- the number of its last change: a new one each time
) STRICT;

CREATE UNIQUE INDEX changes_seq ON changes (seq);
