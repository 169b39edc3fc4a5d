-- What the console's pages of events read: the list by arrival, and counts for the charts.

-- Notifications that hold no event that could be read: each is one row of the list all the same.
CREATE TABLE undecoded (
    notification INTEGER PRIMARY KEY NOT NULL,
    instance TEXT NOT NULL
);

CREATE INDEX undecoded_by_instance ON undecoded (instance, notification);

INSERT INTO undecoded (notification, instance)
    SELECT seq, instance FROM notifications
    WHERE NOT EXISTS (SELECT 1 FROM events WHERE events.notification = notifications.seq);

DROP INDEX events_by_instance;
CREATE INDEX events_by_instance ON events (instance, notification, position);
CREATE INDEX notifications_by_arrival ON notifications (received_at, seq);

-- How many events arrived in each minute of the last hours and each hour of the last days.
CREATE TABLE event_counts (
    instance TEXT NOT NULL, -- empty: of all together
    span BIGINT NOT NULL, -- 60000 or 3600000
    at BIGINT NOT NULL, -- its beginning
    events BIGINT NOT NULL,
    PRIMARY KEY (instance, span, at)
) WITHOUT ROWID;

CREATE INDEX event_counts_by_age ON event_counts (span, at);

INSERT INTO event_counts (instance, span, at, events)
    SELECT notifications.instance, 3600000, notifications.received_at / 3600000 * 3600000, count(*)
    FROM notifications LEFT JOIN events ON events.notification = notifications.seq
    GROUP BY notifications.instance, notifications.received_at / 3600000 * 3600000;

INSERT INTO event_counts (instance, span, at, events)
    SELECT '', span, at, sum(events) FROM event_counts GROUP BY span, at;
