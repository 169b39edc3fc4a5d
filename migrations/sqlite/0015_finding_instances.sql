-- What instances are found by, and the orders they are listed in. Rows from before are filled in at the next start.

CREATE TABLE instance_words (
    word TEXT NOT NULL, -- lower-cased; a whole tag is `#` and the tag
    instance TEXT NOT NULL,
    PRIMARY KEY (word, instance)
) WITHOUT ROWID;

CREATE INDEX instance_words_by_instance ON instance_words (instance);

ALTER TABLE instances ADD COLUMN sort_name TEXT NOT NULL DEFAULT ''; -- lower-cased; '': its words are not written yet
CREATE INDEX instances_by_sort_name ON instances (sort_name, id);
CREATE INDEX instances_by_attention ON instances ((CASE state WHEN 'needs_attention' THEN 8 WHEN 'failed' THEN 7 WHEN 'unknown' THEN 6 WHEN 'provisioning' THEN 5 WHEN 'connected' THEN 4 WHEN 'paused' THEN 3 WHEN 'disconnecting' THEN 2 ELSE 1 END), id);
CREATE INDEX instances_by_last_event ON instances ((COALESCE(last_event_at, 0)), id);
