-- What the overview shows of the way from the first click to the first event.

ALTER TABLE authorization_requests ADD COLUMN started_at BIGINT; -- when its browser left for MailChimp; NULL: not known

-- Starts are counted in memory and written once a minute: a flood of them must cost nothing.
CREATE TABLE start_counts (
    at BIGINT PRIMARY KEY NOT NULL, -- the beginning of the hour
    starts BIGINT NOT NULL
);
