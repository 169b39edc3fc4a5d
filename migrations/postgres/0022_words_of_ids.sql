-- Words of ids are listed under `=`, where four digits or more are looked for, and leave the others alone; so do words of
-- names that begin as an id could. What else is listed so no more goes when the next start fills in all marks anew.

INSERT INTO instance_words (word, rank, instance, marks)
    SELECT '=' || word, rank, instance, -1 FROM instance_words WHERE word ~ '^[0-9a-f]{4}';
UPDATE instance_words SET marks = -1 WHERE marks <> -1;
UPDATE instances SET marks = -1 WHERE marks <> -1;
