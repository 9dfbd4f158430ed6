-- What was asked, and what became of each claim of the answer. An analysis that belongs to no
-- image was asked for by request: it has an object of its own, or a URL still to be fetched.
ALTER TABLE analyses
    ADD COLUMN question jsonb,
    ADD COLUMN claims jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN errors jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN source_url text,
    ADD COLUMN request_id uuid,
    ADD COLUMN position integer NOT NULL DEFAULT 0,
    ADD COLUMN name text;
CREATE INDEX analyses_of_request ON analyses (request_id, position) WHERE request_id IS NOT NULL;
CREATE INDEX analyses_without_image ON analyses (created_at) WHERE image_id IS NULL;
CREATE INDEX analyses_by_key ON analyses (object_key) WHERE image_id IS NULL;

-- What a backend answered about a picture before: the same question costs nothing. Per tenant, or
-- the time of an answer would tell one tenant what another has.
CREATE TABLE answers (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key bytea NOT NULL,
    answer jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX answers_by_age ON answers (created_at);
