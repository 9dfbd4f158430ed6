-- Who asked; null: no key did.
ALTER TABLE analyses ADD COLUMN key_id uuid;

-- What was delivered is counted by key; the id of zeros stands for none.
ALTER TABLE usage_days
    ADD COLUMN key_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    DROP CONSTRAINT usage_days_pkey,
    ADD PRIMARY KEY (tenant_id, day, key_id, operation, level);

-- The model calls of a day (UTC), counted in the transactions that store their answers. `dollars` by
-- the prices of that moment; of `unpriced` calls the price was not known.
CREATE TABLE usage_calls (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    day date NOT NULL,
    key_id uuid NOT NULL,
    backend text NOT NULL,
    calls bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    milliseconds double precision NOT NULL,
    dollars numeric NOT NULL,
    unpriced bigint NOT NULL,
    PRIMARY KEY (tenant_id, day, key_id, backend)
);

-- What was called before costs what is not known any more; local models cost nothing.
INSERT INTO usage_calls
SELECT a.tenant_id, (a.completed_at AT TIME ZONE 'UTC')::date, '00000000-0000-0000-0000-000000000000',
    c->>'source', count(*), sum(coalesce((c->'tokens'->>'prompt')::bigint, 0)),
    sum(coalesce((c->'tokens'->>'completion')::bigint, 0)),
    sum(coalesce((c->>'milliseconds')::float, 0)), 0,
    count(*) FILTER (WHERE c->>'source' <> 'ocelli-local')
FROM analyses a, jsonb_array_elements(a.calls) c
WHERE a.completed_at IS NOT NULL GROUP BY 1, 2, 4;

-- How backends have answered of late, over all tenants.
CREATE INDEX analyses_ended ON analyses (completed_at);
