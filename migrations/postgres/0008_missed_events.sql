-- What Cloud Elements may still have for us: one row for each instance that ever connected.

CREATE TABLE missed_events (
    instance TEXT PRIMARY KEY NOT NULL,
    next_look_at BIGINT, -- NULL: not looked at, because the instance is not connected
    wanted TEXT, -- the reference of an operator's wish to ask again, until it is taken up
    looked_at BIGINT, -- the last look that could tell
    waiting BIGINT NOT NULL DEFAULT 0, -- notifications that waited there then
    more BIGINT NOT NULL DEFAULT 0, -- 1: at least so many
    waiting_since BIGINT, -- the first look that found any
    subscription TEXT NOT NULL DEFAULT 'unknown', -- unknown, delivering, stopped
    trouble TEXT, -- why a later look could not tell
    trouble_at BIGINT,
    asks BIGINT NOT NULL DEFAULT 0, -- how often they were asked for since they began to wait
    asked_at BIGINT,
    ask_outcome TEXT, -- sent, accepted, refused, unclear, helped
    ask_detail TEXT, -- what upstream said to it
    fill_due_at BIGINT, -- NULL: nothing is to be read back
    fill_from BIGINT, -- what happened before is left out
    fill_page TEXT, -- upstream's name of the page to be read next; NULL: the first
    fill_pages BIGINT NOT NULL DEFAULT 0,
    fill_stored BIGINT NOT NULL DEFAULT 0,
    fill_tries BIGINT NOT NULL DEFAULT 0, -- in a row without an answer
    filled_at BIGINT, -- the end of the last reading
    filled_outcome TEXT, -- complete, cut, refused, unclear
    filled_from BIGINT, -- what it left out
    filled_stored BIGINT,
    filled_detail TEXT, -- what upstream said to it
    lease_holder TEXT,
    lease_until BIGINT
);

CREATE INDEX missed_events_by_next_look ON missed_events (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX missed_events_waiting ON missed_events (instance) WHERE waiting > 0;

INSERT INTO missed_events (instance, next_look_at)
    SELECT id, connected_at FROM instances WHERE state IN ('connected', 'needs_attention');

ALTER TABLE notifications ADD COLUMN read_back BIGINT NOT NULL DEFAULT 0; -- 1: it did not arrive; it was read from Cloud Elements, and nothing signs it
