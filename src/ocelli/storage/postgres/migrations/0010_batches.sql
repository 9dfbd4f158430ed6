-- Many questions asked at once: the items are analyses with this request_id.
CREATE TABLE batches (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    kind text NOT NULL,
    level text NOT NULL,
    total integer NOT NULL,
    inputs jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    cancelled_at timestamptz
);
CREATE INDEX batches_by_age ON batches (created_at);
