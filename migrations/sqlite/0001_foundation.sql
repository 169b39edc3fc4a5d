-- Times are milliseconds since 1970-01-01 UTC; what is sealed says so.

CREATE TABLE settings (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL -- sealed
);

CREATE TABLE instances (
    id TEXT PRIMARY KEY NOT NULL, -- UUID v7
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    element TEXT NOT NULL,
    reference TEXT NOT NULL,
    browser BLOB NOT NULL, -- SHA-256
    signature_key BLOB NOT NULL, -- sealed
    token BLOB, -- sealed
    element_instance_id BIGINT,
    events_enabled BIGINT,
    connected_at BIGINT,
    problem_kind TEXT,
    problem_detail TEXT,
    created_at BIGINT NOT NULL,
    first_event_at BIGINT,
    last_event_at BIGINT
);

CREATE INDEX instances_by_state ON instances (state, id);

-- One row per claim: the primary key is what makes a state good for one use, for ever.
CREATE TABLE authorization_requests (
    state_hash BLOB PRIMARY KEY NOT NULL, -- SHA-256
    id TEXT UNIQUE NOT NULL,
    browser BLOB NOT NULL, -- SHA-256
    instance TEXT, -- where it was granted
    code BLOB, -- sealed; gone once the outcome is known
    error TEXT, -- where it was denied
    reference TEXT NOT NULL,
    claimed_at BIGINT NOT NULL
);

CREATE INDEX authorization_requests_by_instance ON authorization_requests (instance);

CREATE TABLE timeline (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of writing
    instance TEXT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    reference TEXT NOT NULL
);

CREATE INDEX timeline_by_instance ON timeline (instance, seq);

CREATE TABLE notifications (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- order of arrival
    fingerprint BLOB UNIQUE NOT NULL, -- 16 bytes; the same notification twice is one row
    instance TEXT NOT NULL,
    notification_id TEXT,
    received_at BIGINT NOT NULL,
    headers TEXT NOT NULL, -- JSON: pairs of name and value
    body BLOB NOT NULL -- as it came
);

CREATE TABLE events (
    notification BIGINT NOT NULL,
    position BIGINT NOT NULL,
    instance TEXT NOT NULL,
    type TEXT NOT NULL,
    object_type TEXT,
    object_id TEXT,
    occurred_at BIGINT,
    PRIMARY KEY (notification, position)
);

CREATE INDEX events_by_instance ON events (instance, notification);

CREATE TABLE operators (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT UNIQUE NOT NULL,
    password_hash TEXT NOT NULL, -- argon2id
    created_at BIGINT NOT NULL
);

CREATE TABLE sign_in_links (
    token_hash BLOB PRIMARY KEY NOT NULL, -- SHA-256
    expires_at BIGINT NOT NULL
);

CREATE TABLE operator_sessions (
    token_hash BLOB PRIMARY KEY NOT NULL, -- SHA-256
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL
);
