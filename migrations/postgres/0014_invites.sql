-- Links that the operator makes, each for one customer.

CREATE TABLE invites (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    token_hash BYTEA UNIQUE NOT NULL, -- SHA-256; the token itself is in the link alone
    customer TEXT NOT NULL,
    tags TEXT NOT NULL, -- a JSON list, for the instance
    return_url TEXT, -- where the customer goes afterwards
    uses BIGINT, -- NULL: as many as come
    used BIGINT NOT NULL DEFAULT 0, -- grants that were claimed with it
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    opened_at BIGINT, -- the first time each
    started_at BIGINT,
    connected_at BIGINT,
    revoked_at BIGINT
);

ALTER TABLE instances ADD COLUMN invite TEXT; -- the one it came of
CREATE INDEX instances_by_invite ON instances (invite) WHERE invite IS NOT NULL;
