-- Where notifications are passed on to, and how each of them fared.

CREATE TABLE endpoints (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    url TEXT NOT NULL,
    secret BYTEA NOT NULL, -- sealed; empty once it is deleted
    instances TEXT NOT NULL, -- JSON: ids; where tags are empty too, every instance
    tags TEXT NOT NULL, -- JSON
    types TEXT NOT NULL, -- JSON: types of event; empty: every type
    state TEXT NOT NULL, -- on, off, deleted
    off_reason TEXT, -- gone, failing
    failing_since BIGINT, -- the first failure since the last success
    created_at BIGINT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT
);

-- Written in the transaction that stores the notification.
CREATE TABLE deliveries (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of arrival
    endpoint TEXT NOT NULL,
    notification BIGINT NOT NULL,
    state TEXT NOT NULL, -- pending, delivered, failed
    attempts BIGINT NOT NULL DEFAULT 0, -- since it was made, or asked for again
    created_at BIGINT NOT NULL,
    due_at BIGINT -- NULL unless it is pending
);

CREATE INDEX deliveries_by_due ON deliveries (endpoint, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_by_notification ON deliveries (notification);
CREATE INDEX deliveries_by_state ON deliveries (state, seq);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, seq);
CREATE INDEX deliveries_by_endpoint_and_state ON deliveries (endpoint, state, seq);

CREATE TABLE delivery_attempts (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- order of writing
    delivery BIGINT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT, -- NULL: no answer came
    duration_ms BIGINT NOT NULL,
    error TEXT, -- why no answer came
    answer BYTEA NOT NULL -- its first 4 KiB
);

CREATE INDEX delivery_attempts_by_delivery ON delivery_attempts (delivery, seq);

-- Many deliveries asked for again, some each second, until the newest that was meant.
CREATE TABLE redeliveries (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    state TEXT NOT NULL, -- running, stopped, done
    endpoint TEXT, -- NULL: of every endpoint
    delivery_state TEXT, -- NULL: delivered and failed
    since BIGINT NOT NULL,
    last BIGINT NOT NULL, -- the newest delivery that is meant
    rate BIGINT NOT NULL, -- deliveries a second
    total BIGINT NOT NULL,
    asked BIGINT NOT NULL DEFAULT 0, -- so many so far
    position BIGINT NOT NULL DEFAULT 0, -- the delivery it has got to
    step_at BIGINT NOT NULL, -- when it goes on
    created_at BIGINT NOT NULL
);

CREATE INDEX redeliveries_by_step ON redeliveries (step_at) WHERE state = 'running';
