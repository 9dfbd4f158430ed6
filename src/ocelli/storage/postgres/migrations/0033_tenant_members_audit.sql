-- What a tenant says of itself. `name` stays what the operator calls it by, and `display_name` is shown.
ALTER TABLE tenants ADD COLUMN display_name text;
ALTER TABLE tenants ADD COLUMN webhook_url text;
ALTER TABLE tenants ADD COLUMN allowed_providers text[] NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN allowed_domains text[] NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN custom_config jsonb NOT NULL DEFAULT '{}';
ALTER TABLE tenants ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();

-- People who were invited. The owner is not among them: keys without a member are the owner's.
CREATE TABLE members (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    joined_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX members_by_email ON members (tenant_id, lower(email));
-- No foreign key: the keys of a removed member stay listed as theirs, revoked.
ALTER TABLE api_keys ADD COLUMN member_id uuid;
CREATE INDEX api_keys_by_member ON api_keys (member_id) WHERE member_id IS NOT NULL;

-- What was done and what was refused, for those who are responsible for a tenant.
CREATE TABLE audit_events (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    severity text NOT NULL,
    action text NOT NULL,
    result text NOT NULL,
    member_id uuid,
    key_id uuid,
    address text,
    resource_type text,
    resource_id text,
    error_message text,
    metadata jsonb
);
CREATE INDEX audit_events_by_tenant ON audit_events (tenant_id, occurred_at DESC, id);
CREATE INDEX audit_events_by_age ON audit_events (occurred_at);
