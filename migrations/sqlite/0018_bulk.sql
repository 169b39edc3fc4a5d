-- One act on many instances, some each second, until all that were there when it was asked for are done.

CREATE TABLE bulk_acts (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    act TEXT NOT NULL, -- check, pause, resume
    state TEXT NOT NULL, -- running, stopped, done
    asked_by TEXT NOT NULL, -- as it stands on timelines
    reference TEXT NOT NULL, -- of the request that asked, and of every line it makes
    -- Which instances are meant; NULL: any.
    text TEXT,
    tag TEXT,
    instance_state TEXT,
    events BIGINT, -- 1: on, 0: off
    silent BIGINT NOT NULL, -- 1: only those silent far longer than usual
    total BIGINT NOT NULL, -- so many when it was asked for
    total_exact BIGINT NOT NULL, -- 0: more than that
    done BIGINT NOT NULL DEFAULT 0, -- so many so far
    troubled BIGINT NOT NULL DEFAULT 0, -- of those, so many for which something is to be said
    position TEXT, -- the place it has got to; NULL: before the first
    step_at BIGINT NOT NULL, -- when it goes on; moved on by whoever takes the step
    created_at BIGINT NOT NULL
);

CREATE INDEX bulk_acts_by_step ON bulk_acts (step_at) WHERE state = 'running';

-- The first of those for which something is to be said.
CREATE TABLE bulk_troubles (
    bulk TEXT NOT NULL,
    instance TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (bulk, instance)
);
