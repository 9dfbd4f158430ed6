-- What people say about pictures. Rows are only added: the newest of each field (and claim) holds.
-- Machines write `analyses`; neither ever writes the other's.
CREATE TABLE edits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    image_id uuid NOT NULL REFERENCES images ON DELETE CASCADE,
    revision integer NOT NULL,
    position smallint NOT NULL,
    field text NOT NULL,
    claim text NOT NULL DEFAULT '',  -- the claim's words, where the field is 'claim'
    value jsonb,  -- NULL takes the word back
    previous jsonb,
    author text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    undoes uuid,
    UNIQUE (image_id, revision, position)
);
CREATE INDEX edits_of_tenant ON edits (tenant_id, created_at);

-- How often people changed what they say; 0: `edits` has nothing of the picture.
ALTER TABLE images ADD COLUMN revision integer NOT NULL DEFAULT 0;
CREATE INDEX images_edited ON images (tenant_id, id) WHERE revision > 0 AND deleted_at IS NULL;

-- Pictures whose newest description waits for a person.
CREATE TABLE reviews (
    image_id uuid PRIMARY KEY REFERENCES images ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    analysis_id uuid NOT NULL,
    doubt double precision NOT NULL,
    reasons text[] NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX reviews_by_doubt ON reviews (tenant_id, doubt, image_id);

INSERT INTO reviews (image_id, tenant_id, analysis_id, doubt, reasons)
SELECT DISTINCT ON (a.image_id) a.image_id, a.tenant_id, a.id,
    CASE WHEN a.status = 'failed' THEN 1 ELSE 1 - coalesce(a.confidence, 0.5) END,
    CASE WHEN a.status = 'failed' THEN ARRAY['failed'] ELSE ARRAY[]::text[] END
FROM analyses a JOIN images i ON i.id = a.image_id AND i.deleted_at IS NULL
WHERE a.status IN ('completed', 'failed')
ORDER BY a.image_id, a.created_at DESC;

-- Tags, in lower case, that a person of the tenant wrote or approved.
CREATE TABLE known_tags (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    tag text NOT NULL,
    PRIMARY KEY (tenant_id, tag)
);
INSERT INTO known_tags
SELECT DISTINCT tenant_id, lower(tag) FROM images, unnest(tags) AS tag WHERE deleted_at IS NULL;
