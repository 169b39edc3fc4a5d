-- For whom an instance is, and the tags it was given besides those of INSTANCE_TAGS and our own.

ALTER TABLE instances ADD COLUMN customer TEXT; -- as the operator named it; NULL: nobody did
ALTER TABLE instances ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'; -- a JSON list
