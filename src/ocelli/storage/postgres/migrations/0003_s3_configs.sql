-- A tenant's own bucket. `sealed` holds the credentials, encrypted with the installation's secret.
CREATE TABLE s3_configs (
    tenant_id uuid PRIMARY KEY REFERENCES tenants ON DELETE CASCADE,
    version uuid NOT NULL,
    bucket text NOT NULL,
    region text NOT NULL,
    endpoint_url text,
    sealed bytea NOT NULL,
    configured_at timestamptz NOT NULL DEFAULT now()
);

-- In which store the object of an analysis is.
ALTER TABLE analyses ADD COLUMN storage_target text NOT NULL DEFAULT 'default';
