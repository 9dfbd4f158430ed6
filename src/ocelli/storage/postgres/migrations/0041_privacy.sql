-- What was erased for good, and by whose wish: the receipts. They outlive what they are about, so they
-- reference nothing. An open one (without completed_at) is gone on with until it is carried out.
CREATE TABLE erasures (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL,
    kind text NOT NULL,
    image_ids uuid[] NOT NULL DEFAULT '{}',
    reason text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    counts jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX erasures_of_tenant ON erasures (tenant_id, requested_at DESC, id);
CREATE INDEX erasures_open ON erasures (requested_at) WHERE completed_at IS NULL;

-- After how many days what is erased, by kind; a kind that is not there is kept.
ALTER TABLE tenants ADD COLUMN retention_days jsonb NOT NULL DEFAULT '{}';

-- Whose answer it is: the SHA-256 of the picture's bytes. Rows of before have none.
ALTER TABLE answers ADD COLUMN picture bytea;
CREATE INDEX answers_by_picture ON answers (tenant_id, picture);
