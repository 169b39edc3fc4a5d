-- The audiences that a customer chose: where Mailchimp was told to report changes, and by whom.

CREATE TABLE audience_webhooks (
    instance TEXT NOT NULL,
    audience TEXT NOT NULL, -- Mailchimp's id of the list
    name TEXT NOT NULL, -- as the customer named it; goes with the row
    origin TEXT NOT NULL, -- asked: may exist; made: by Gangway; found: was there, and is not ours to remove
    webhook TEXT, -- Mailchimp's id of it, once it is known
    touched_at BIGINT NOT NULL,
    PRIMARY KEY (instance, audience)
);

CREATE INDEX audience_webhooks_by_audience ON audience_webhooks (audience);
