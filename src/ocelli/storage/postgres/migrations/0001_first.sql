-- Whoever owns pictures.
CREATE TABLE tenants (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE,
    tier text NOT NULL,
    requests_per_minute integer,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Keys are stored hashed; `prefix` is the part that lists may show.
CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name text NOT NULL,
    key_hash bytea NOT NULL UNIQUE,
    prefix text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);

-- A row says that the original is in the store (the file comes first, the row after it).
-- title and tags belong to people; what machines say is in analyses.
CREATE TABLE images (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    session_id uuid,
    filename text NOT NULL,
    object_key text NOT NULL,
    storage_target text NOT NULL,
    upload_method text NOT NULL,
    content_type text NOT NULL,
    format text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    title text,
    tags text[] NOT NULL DEFAULT '{}',
    blur_hash text,
    variant_status text NOT NULL DEFAULT 'pending',
    variant_error text,
    content_created_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX images_by_tenant ON images
    (tenant_id, coalesce(content_created_at, created_at) DESC, id) WHERE deleted_at IS NULL;
CREATE INDEX images_by_content ON images (tenant_id, sha256) WHERE deleted_at IS NULL;
CREATE INDEX images_by_key ON images (object_key);
CREATE INDEX images_deleted ON images (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX images_by_session ON images (session_id) WHERE session_id IS NOT NULL;

CREATE TABLE variants (
    image_id uuid NOT NULL REFERENCES images ON DELETE CASCADE,
    type text NOT NULL,
    object_key text NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    size_bytes bigint NOT NULL,
    PRIMARY KEY (image_id, type)
);
CREATE INDEX variants_by_key ON variants (object_key);

-- One request to look at one stored picture, with its answer once there is one.
CREATE TABLE analyses (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    image_id uuid REFERENCES images ON DELETE CASCADE,
    object_key text NOT NULL,
    level text NOT NULL,
    status text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    looks integer NOT NULL DEFAULT 0,
    findings jsonb NOT NULL DEFAULT '[]',
    description text,
    visible_text text,
    tags text[] NOT NULL DEFAULT '{}',
    confidence real,
    failure jsonb,
    processing_ms real,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    completed_at timestamptz
);
CREATE INDEX analyses_of_image ON analyses (image_id, created_at DESC);
CREATE INDEX analyses_unfinished ON analyses (tenant_id, created_at)
    WHERE status IN ('queued', 'processing');
