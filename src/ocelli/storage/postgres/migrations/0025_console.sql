-- Who is signed in to the console. A session is that of a key, and ends with it; tokens are stored
-- hashed.
CREATE TABLE console_sessions (
    token_hash bytea PRIMARY KEY,
    key_id uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX console_sessions_by_end ON console_sessions (expires_at);

-- Links that sign in once: used ones are deleted.
CREATE TABLE console_links (
    token_hash bytea PRIMARY KEY,
    key_id uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    expires_at timestamptz NOT NULL
);
