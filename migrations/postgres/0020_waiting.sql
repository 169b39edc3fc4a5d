-- What waits is little: whoever asks for it reads this index alone.
DROP INDEX missed_events_waiting;
CREATE INDEX missed_events_waiting ON missed_events (instance, waiting, next_look_at) WHERE waiting > 0;
