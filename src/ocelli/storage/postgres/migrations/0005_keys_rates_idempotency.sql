-- What a key is for and what it may do. Keys from before may do everything.
ALTER TABLE api_keys ADD COLUMN description text;
ALTER TABLE api_keys ADD COLUMN scopes text[] NOT NULL DEFAULT '{admin}';
ALTER TABLE api_keys ALTER COLUMN scopes DROP DEFAULT;
ALTER TABLE api_keys ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
ALTER TABLE api_keys ADD COLUMN usage_count bigint NOT NULL DEFAULT 0;
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at DESC, id);

-- How much of a key's minute is handed out, to all API processes together: on one route, or with
-- the route '' on all of them. One row per key and route, used again every minute.
CREATE TABLE rate_windows (
    key_id uuid NOT NULL REFERENCES api_keys ON DELETE CASCADE,
    route text NOT NULL,
    minute bigint NOT NULL,
    used integer NOT NULL,
    PRIMARY KEY (key_id, route)
) WITH (fillfactor = 50);

-- Hand out a slice of this minute: what is needed now, and up to what is wished beyond it as long
-- as that leaves three quarters of the rest for others. The database's clock is the only one that
-- counts, and it is read while the row is locked.
CREATE FUNCTION lease_requests(
    the_key uuid, the_route text, per_minute integer, needed integer, wished integer,
    OUT granted integer, OUT free integer, OUT reset bigint, OUT seconds_left double precision
) LANGUAGE plpgsql AS $$
DECLARE
    held rate_windows%ROWTYPE;
    moment double precision;
    this_minute bigint;
BEGIN
    INSERT INTO rate_windows VALUES (the_key, the_route, 0, 0) ON CONFLICT DO NOTHING;
    SELECT * INTO held FROM rate_windows
        WHERE key_id = the_key AND route = the_route FOR UPDATE;
    moment := extract(epoch FROM clock_timestamp());
    this_minute := floor(moment / 60);
    IF held.minute <> this_minute THEN
        held.used := 0;
    END IF;
    free := greatest(0, per_minute - held.used);
    granted := least(free, greatest(needed, least(wished, free / 4)));
    free := free - granted;
    reset := (this_minute + 1) * 60;
    seconds_left := reset - moment;
    UPDATE rate_windows SET minute = this_minute, used = held.used + granted
        WHERE key_id = the_key AND route = the_route;
END
$$;

-- What was answered to a request that carries a key of the client's choice. The row comes before
-- the work: `owner` and `renewed_at` belong to whoever is at it, and a row that nobody has renewed
-- for a while is anybody's. A finished row without `status` says "done, but the answer is not kept".
CREATE TABLE idempotency_keys (
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    owner uuid NOT NULL,
    renewed_at timestamptz NOT NULL DEFAULT now(),
    finished boolean NOT NULL DEFAULT false,
    status integer,
    content_type text,
    body bytea,
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (renewed_at);
