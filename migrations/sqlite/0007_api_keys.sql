-- Keys of programs that use the JSON API. A revoked one keeps its row, so that it can be told who had one.

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    name TEXT NOT NULL,
    scope TEXT NOT NULL, -- read; write: both
    key_hash BLOB UNIQUE NOT NULL, -- SHA-256
    created_at INTEGER NOT NULL,
    expires_at INTEGER, -- NULL: never
    revoked_at INTEGER,
    last_used_at INTEGER -- to the minute
);

-- A name that is free again once its key is revoked.
CREATE UNIQUE INDEX api_keys_by_name ON api_keys (name) WHERE revoked_at IS NULL;
