-- What is told of a notification besides its bytes.

ALTER TABLE notifications ADD COLUMN decoded BIGINT NOT NULL DEFAULT 1; -- 0: kept as it came, because it could not be read
ALTER TABLE notifications ADD COLUMN duplicates BIGINT NOT NULL DEFAULT 0; -- how often it came again
ALTER TABLE notifications ADD COLUMN same_id_as BIGINT; -- the seq of an earlier one with the same id and another body
ALTER TABLE notifications ADD COLUMN payload_gone BIGINT NOT NULL DEFAULT 0; -- 1: too old, its body is empty now
