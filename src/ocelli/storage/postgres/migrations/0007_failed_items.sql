-- The newest failures of a session, however many files it has: every poll asks for them.
CREATE INDEX items_failed ON items (session_id, changed_at DESC) WHERE state = 'failed';
