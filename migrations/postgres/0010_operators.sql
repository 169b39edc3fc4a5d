-- Several operators with roles, their sessions, and the trail of every act.

ALTER TABLE operators ADD COLUMN role TEXT NOT NULL DEFAULT 'operator'; -- operator, viewer
-- An operator whose password_hash is '' has not chosen a password yet.

ALTER TABLE sign_in_links ADD COLUMN operator TEXT; -- NULL: the first operator, whose row is made with the link

ALTER TABLE operator_sessions ADD COLUMN id TEXT; -- names it in the console; opens nothing
ALTER TABLE operator_sessions ADD COLUMN operator TEXT; -- NULL: the one of the settings or of the demo, who has no row
ALTER TABLE operator_sessions ADD COLUMN address TEXT;
ALTER TABLE operator_sessions ADD COLUMN agent TEXT;
-- Whose the old ones were is not known: everybody signs in once more.
DELETE FROM operator_sessions;

CREATE TABLE audit (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    who TEXT NOT NULL, -- an operator's name, 'api key NAME', 'command line'
    act TEXT NOT NULL, -- instance.check, sign_in.refused, ...
    subject TEXT, -- the id it was done to, or its name
    address TEXT, -- NULL: not over the network
    reference TEXT -- NULL: no request
);

CREATE INDEX audit_by_who ON audit (who, seq);
CREATE INDEX audit_by_act ON audit (act, seq);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$;
CREATE TRIGGER audit_keeps_its_rows BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
