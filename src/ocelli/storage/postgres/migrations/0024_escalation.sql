-- Escalation policies of tenants; those without a name belong to one request each.
CREATE TABLE escalation_policies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name text,
    policy jsonb NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant_id, name)
);
CREATE UNIQUE INDEX escalation_policies_default ON escalation_policies (tenant_id)
    WHERE is_default;

-- What second steps took of the budget of a policy, by calendar month (UTC).
CREATE TABLE escalation_spending (
    policy_id uuid NOT NULL REFERENCES escalation_policies ON DELETE CASCADE,
    period date NOT NULL,
    pictures bigint NOT NULL DEFAULT 0,
    escalated bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    hundredths bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (policy_id, period)
);

-- The policy is looked up when it is needed: it may be deleted meanwhile.
ALTER TABLE analyses
    ADD COLUMN policy_id uuid,
    ADD COLUMN escalation jsonb;
CREATE INDEX analyses_by_policy ON analyses (policy_id) WHERE policy_id IS NOT NULL;
