-- The requests of keys, one by one, for a month: what asked for what, when, and how it was answered.
CREATE TABLE request_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key_id uuid NOT NULL,
    at timestamptz NOT NULL,
    method text NOT NULL,
    route text NOT NULL,
    operation text NOT NULL,
    status integer NOT NULL,
    milliseconds integer NOT NULL,
    code text
);
CREATE INDEX request_log_by_tenant ON request_log (tenant_id, at DESC, id DESC);
CREATE INDEX request_log_by_age ON request_log (at);
