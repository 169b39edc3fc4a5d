-- A reference number leads to the lines it stands on.

CREATE INDEX timeline_by_reference ON timeline (reference, seq);
