-- What a program asked for with an `Idempotency-Key`, so that asking again acts no second time.

CREATE TABLE idempotent_requests (
    id TEXT PRIMARY KEY NOT NULL, -- SHA-256 over the API key, the method with the path, and the Idempotency-Key
    body_hash BYTEA NOT NULL, -- SHA-256 of what was asked
    claim TEXT NOT NULL, -- who acts
    answer BYTEA, -- sealed: it may carry a secret; NULL while it is acted
    ends_at BIGINT NOT NULL -- from then on the row counts for nothing
);

CREATE INDEX idempotent_requests_by_end ON idempotent_requests (ends_at);
