-- The upright picture's, known once it has been opened: places in it are fractions.
ALTER TABLE analyses ADD COLUMN width integer, ADD COLUMN height integer;

-- What may still be spent on requests; who owns the machine is charged all the same, and never
-- refused. `number` names a tenant where clients expect an integer.
ALTER TABLE tenants ADD COLUMN credits bigint NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN number integer GENERATED ALWAYS AS IDENTITY;
UPDATE tenants SET credits = 1000000 WHERE unmetered;

-- One request about several pictures, which are the analyses with its id. `body` is what polls are
-- answered: written when it is accepted, and once more when its last analysis is final.
CREATE TABLE requests (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    user_id integer NOT NULL,
    asked jsonb NOT NULL,
    plan jsonb NOT NULL,
    reserved bigint NOT NULL,
    paid bigint,
    body text NOT NULL,
    created_at timestamptz NOT NULL,
    completed_at timestamptz
);
CREATE INDEX requests_unfinished ON requests (tenant_id) WHERE completed_at IS NULL;
CREATE INDEX requests_finished ON requests (completed_at) WHERE completed_at IS NOT NULL;
