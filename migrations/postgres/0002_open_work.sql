-- What must end in a true state whatever happens to the process: one row for each instance with a piece of
-- work open, taken up under a lease, gone once it is settled. A million settled instances leave it empty.

CREATE TABLE open_work (
    instance TEXT PRIMARY KEY NOT NULL,
    ticket TEXT NOT NULL, -- tells it from an earlier piece of the same instance; the authorization request's id where there is one
    kind TEXT NOT NULL, -- provision, reauthorize, disconnect
    since BIGINT NOT NULL,
    sent_at BIGINT, -- when the call with the grant code left; NULL: it certainly did not
    looks BIGINT NOT NULL DEFAULT 0,
    first_look_at BIGINT,
    due_at BIGINT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT
);

CREATE INDEX open_work_by_due ON open_work (due_at);

INSERT INTO open_work (instance, ticket, kind, since, sent_at, due_at)
    SELECT id, COALESCE((SELECT request.id FROM authorization_requests AS request WHERE request.instance = instances.id), id),
           'provision', created_at, created_at, created_at
    FROM instances WHERE state IN ('provisioning', 'unknown');

ALTER TABLE instances ADD COLUMN version BIGINT NOT NULL DEFAULT 0; -- goes up with every transition
ALTER TABLE instances ADD COLUMN problem_since BIGINT;
ALTER TABLE instances ADD COLUMN kept_answer BYTEA; -- sealed: an answer that could not be read, until the outcome is known
ALTER TABLE instances ADD COLUMN audiences TEXT; -- JSON: the ids of the account's audiences, which tell one account from another
ALTER TABLE instances ADD COLUMN notification_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE instances ADD COLUMN last_checked_at BIGINT;
ALTER TABLE instances ADD COLUMN next_check_at BIGINT; -- NULL: nothing to check

UPDATE instances SET problem_since = created_at WHERE problem_kind IS NOT NULL;
UPDATE instances SET next_check_at = connected_at WHERE state IN ('connected', 'needs_attention');
UPDATE instances SET notification_count = (SELECT count(*) FROM notifications WHERE notifications.instance = instances.id);

CREATE INDEX instances_by_next_check ON instances (next_check_at) WHERE next_check_at IS NOT NULL;
CREATE INDEX instances_by_element_instance ON instances (element_instance_id, id) WHERE element_instance_id IS NOT NULL;
