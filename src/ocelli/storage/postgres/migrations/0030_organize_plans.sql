-- Plans that sort pictures into folders: what they are to do, and once carried out, what they did.
-- `groups`: [{name, image_ids}]; `moves`: [{image_id, before, after}] of folders, null for the root.
CREATE TABLE organize_plans (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    intent text NOT NULL,
    parent_id uuid,
    summary text NOT NULL,
    groups jsonb NOT NULL,
    state text NOT NULL DEFAULT 'planned',
    created_folders uuid[] NOT NULL DEFAULT '{}',
    moves jsonb NOT NULL DEFAULT '[]',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX organize_plans_by_age ON organize_plans (created_at);
CREATE INDEX organize_plans_by_tenant ON organize_plans (tenant_id);
