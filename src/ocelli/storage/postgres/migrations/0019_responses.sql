-- Answers of /v1/responses, kept for a day. `input` and `body` are JSON, packed by Postgres; an input
-- without which a conversation cannot go on, as it was too large to be kept, is NULL.
CREATE TABLE responses (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    id uuid NOT NULL,
    previous_id uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    input bytea,
    body bytea NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX responses_by_age ON responses (created_at);
