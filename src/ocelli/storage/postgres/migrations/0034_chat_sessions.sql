-- Conversations about a library. A message of a person has an even place, its answer the next one:
-- both are reserved (`places`) when the message is stored.
CREATE TABLE chat_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    title text NOT NULL,
    is_named boolean NOT NULL,
    use_all_images boolean NOT NULL,
    image_ids uuid[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_message_at timestamptz,
    closed_at timestamptz,
    places integer NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    summary text,
    summarised integer NOT NULL DEFAULT 0
);
CREATE INDEX chat_sessions_by_activity ON chat_sessions
    (tenant_id, coalesce(last_message_at, created_at) DESC, id);

CREATE TABLE chat_messages (
    id uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES chat_sessions ON DELETE CASCADE,
    place integer NOT NULL,
    role text NOT NULL,
    content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    token_count integer,
    processing_ms integer,
    image_ids uuid[] NOT NULL DEFAULT '{}',
    refs jsonb NOT NULL DEFAULT '{}',
    notes jsonb NOT NULL DEFAULT '{}',
    UNIQUE (session_id, place)
);

-- Plans that conversations proposed.
CREATE TABLE chat_plans (
    plan_id uuid PRIMARY KEY REFERENCES organize_plans ON DELETE CASCADE,
    session_id uuid NOT NULL REFERENCES chat_sessions ON DELETE CASCADE
);
CREATE INDEX chat_plans_by_session ON chat_plans (session_id);
