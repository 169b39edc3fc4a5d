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
CREATE INDEX instances_by_last_event ON instances ((COALESCE(last_event_at, 0)), id, marks, first_event_at, notification_count);

-- A word lists its instances in the order of the console, and tells the same of them.
CREATE TABLE ranked_words (
    word TEXT COLLATE "C" NOT NULL, -- lower-cased; a whole tag is `#` and the tag
    rank BIGINT NOT NULL, -- of the state: the higher, the sooner it needs somebody
    instance TEXT NOT NULL,
    marks BIGINT NOT NULL,
    CONSTRAINT ranked_words_key PRIMARY KEY (word, rank, instance) INCLUDE (marks)
);
INSERT INTO ranked_words (word, rank, instance, marks)
    SELECT word, CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'unknown' THEN 6 WHEN 'provisioning' THEN 5 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 WHEN 'disconnecting' THEN 2 ELSE 1 END, instance, -1
    FROM instance_words JOIN instances ON id = instance;
DROP TABLE instance_words;
ALTER TABLE ranked_words RENAME TO instance_words;
CREATE INDEX instance_words_by_instance ON instance_words (instance, word);
