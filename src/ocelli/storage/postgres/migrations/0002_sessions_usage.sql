-- The owner's own tenant has no monthly limits.
ALTER TABLE tenants ADD COLUMN unmetered boolean NOT NULL DEFAULT false;
ALTER TABLE tenants ADD COLUMN storage_bytes bigint NOT NULL DEFAULT 0;

-- Several files that came, or are to come, together. The counters change in the transactions that
-- change the items, so they are exact at every moment; the status follows from them.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    upload_method text NOT NULL,
    intent text NOT NULL,
    level text NOT NULL,
    total integer NOT NULL,
    uploading integer NOT NULL DEFAULT 0,
    completed integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    skipped integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    completed_at timestamptz,
    cancelled_at timestamptz,
    expired_at timestamptz,
    last_activity_at timestamptz NOT NULL,
    status text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN cancelled_at IS NOT NULL THEN 'cancelled'
            WHEN expired_at IS NOT NULL THEN 'expired'
            WHEN completed + failed + skipped >= total THEN
                CASE WHEN failed = total THEN 'failed' ELSE 'completed' END
            WHEN uploading = total THEN 'pending'
            WHEN uploading > 0 THEN 'uploading'
            ELSE 'processing'
        END
    ) STORED
);
CREATE INDEX sessions_by_tenant ON sessions (tenant_id, created_at DESC, id);

-- One file of a session, or a single presigned one: from its reservation to its final state.
-- `id` is the id of the picture that it becomes; a duplicate's `image_id` is the one that exists.
CREATE TABLE items (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    session_id uuid REFERENCES sessions ON DELETE CASCADE,
    position integer NOT NULL,
    filename text NOT NULL,
    content_type text,
    size_bytes bigint,
    object_key text,
    storage_target text NOT NULL,
    idempotency_key text,
    title text,
    tags text[] NOT NULL DEFAULT '{}',
    state text NOT NULL,
    image_id uuid,
    error text,
    retryable boolean,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX items_by_session ON items (session_id, position);
CREATE UNIQUE INDEX items_by_key ON items (object_key);
CREATE UNIQUE INDEX items_idempotent ON items (tenant_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX items_expiring ON items (expires_at) WHERE state IN ('uploading', 'confirming');
CREATE INDEX items_recent ON items (session_id, changed_at DESC)
    WHERE state IN ('completed', 'failed', 'skipped');

-- What a tenant used in a calendar month (UTC): reserved when accepted, given back if not delivered.
CREATE TABLE usage_months (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    month date NOT NULL,
    uploads bigint NOT NULL DEFAULT 0,
    descriptions bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, month)
);

-- What was delivered, per day.
CREATE TABLE usage_days (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    day date NOT NULL,
    operation text NOT NULL,
    level text NOT NULL,
    succeeded bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    credits bigint NOT NULL DEFAULT 0,
    milliseconds double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, day, operation, level)
);

-- Which job stands for which analysis.
CREATE INDEX ocelli_jobs_by_analysis ON procrastinate_jobs ((args->>'analysis_id'))
    WHERE status IN ('todo', 'doing');
