-- The vocabularies of tenants. `name_key` is equal for two spellings of a name.
CREATE TABLE vocabularies (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name text NOT NULL,
    name_key text NOT NULL,
    term_count integer NOT NULL,
    digest text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant_id, name_key)
);

CREATE TABLE vocabulary_terms (
    vocabulary_id uuid NOT NULL REFERENCES vocabularies ON DELETE CASCADE,
    position integer NOT NULL,
    term jsonb NOT NULL,
    PRIMARY KEY (vocabulary_id, position)
);

-- Vectors of names, 16-bit floats, computed when they are first needed.
CREATE TABLE vocabulary_vectors (
    vocabulary_id uuid NOT NULL REFERENCES vocabularies ON DELETE CASCADE,
    model_version text NOT NULL,
    name text NOT NULL,
    vector bytea NOT NULL,
    PRIMARY KEY (vocabulary_id, model_version, name)
);
