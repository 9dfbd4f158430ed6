-- Where a tenant wants its events posted to. No event types: all of them.
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    url text NOT NULL,
    description text,
    event_types text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz,
    disabled_reason text,
    failing_since timestamptz
);
CREATE INDEX webhook_endpoints_of_tenant ON webhook_endpoints (tenant_id, created_at);

-- Every secret that has not expired signs; the newest has no end.
CREATE TABLE webhook_secrets (
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz
);
CREATE INDEX webhook_secrets_of_endpoint ON webhook_secrets (endpoint_id);

-- The outbox: an event for one endpoint, or of one batch for the address that it names (`url`).
-- Pending ones are sent from next_attempt_at on, and given up at expires_at. One that is being
-- sent is claimed; its next_attempt_at is the moment at which it is sent again if the sender dies.
CREATE TABLE webhook_deliveries (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    endpoint_id uuid REFERENCES webhook_endpoints ON DELETE CASCADE,
    url text,
    lane uuid NOT NULL GENERATED ALWAYS AS (coalesce(endpoint_id, tenant_id)) STORED,
    event_type text NOT NULL,
    payload text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '24 hours',
    claimed_until timestamptz,
    last_attempt_at timestamptz,
    ended_at timestamptz,
    response_status integer,
    error text,
    CHECK ((endpoint_id IS NULL) <> (url IS NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (lane, next_attempt_at)
    WHERE status = 'pending';
CREATE INDEX webhook_deliveries_claimed ON webhook_deliveries (claimed_until)
    WHERE claimed_until IS NOT NULL;
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries
    (endpoint_id, created_at DESC, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- What was still to be told by a job of its own, which there is no more.
INSERT INTO webhook_deliveries (tenant_id, url, event_type, payload)
SELECT b.tenant_id, b.webhook_url, 'batch', jsonb_build_object(
        'batch_id', b.id, 'kind', b.kind,
        'status', CASE WHEN b.cancelled_at IS NOT NULL THEN 'cancelled'
            WHEN n.completed = b.total THEN 'completed'
            WHEN n.completed > 0 THEN 'partially_completed' ELSE 'failed' END,
        'total_items', b.total, 'successful_items', n.completed,
        'failed_items', n.failed, 'skipped_items', n.skipped)::text
FROM batches b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'skipped') AS skipped,
        count(*) FILTER (WHERE status IN ('queued', 'processing')) AS unfinished
    FROM analyses WHERE request_id = b.id) n
WHERE b.webhook_url IS NOT NULL AND n.unfinished = 0
    AND (b.announced_at IS NULL OR EXISTS (SELECT FROM procrastinate_jobs j
        WHERE j.task_name = 'call_webhook' AND j.status IN ('todo', 'doing')
        AND j.args->>'batch_id' = b.id::text));
UPDATE batches b SET announced_at = clock_timestamp() WHERE announced_at IS NULL
    AND NOT EXISTS (SELECT FROM analyses a WHERE a.request_id = b.id
        AND a.status IN ('queued', 'processing'));
DELETE FROM procrastinate_jobs WHERE task_name = 'call_webhook';
DROP INDEX batches_to_announce;
