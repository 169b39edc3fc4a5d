-- What an instance can be told by at a glance, in every index it is listed by. Rows from before are filled in at the
-- next start; -1 has every mark.

ALTER TABLE instances ADD COLUMN marks BIGINT NOT NULL DEFAULT -1;
CREATE INDEX instances_without_marks ON instances (id) WHERE marks = -1;

DROP INDEX instances_by_state;
DROP INDEX instances_by_sort_name;
DROP INDEX instances_by_attention;
DROP INDEX instances_by_last_event;
CREATE INDEX instances_by_id ON instances (id, marks);
CREATE INDEX instances_by_state ON instances (state, id, marks);
CREATE INDEX instances_by_sort_name ON instances (sort_name, id, marks);
CREATE INDEX instances_by_attention ON instances ((CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'unknown' THEN 6 WHEN 'provisioning' THEN 5 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 WHEN 'disconnecting' THEN 2 ELSE 1 END), id, marks);
CREATE INDEX instances_by_last_event ON instances ((COALESCE(last_event_at, 0)), id, marks);
