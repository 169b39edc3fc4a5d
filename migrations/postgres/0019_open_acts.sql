-- What Cloud Elements is about to be told of an instance. What is still here when it is due was cut off between the call
-- and the row, and is done again.

CREATE TABLE open_acts (
    instance TEXT NOT NULL,
    kind TEXT NOT NULL, -- events, name, tags
    wanted TEXT NOT NULL, -- as JSON
    ticket TEXT NOT NULL, -- names this one; a later one of the same kind takes its place
    asked_by TEXT, -- as it stands on the timeline
    reference TEXT NOT NULL, -- of the request that asked
    tries BIGINT NOT NULL, -- how often it was done again
    due_at BIGINT NOT NULL, -- when it is; moved on by whoever does it
    PRIMARY KEY (instance, kind)
);

CREATE INDEX open_acts_by_due ON open_acts (due_at);
