-- Deleted pictures were counted as stored for ever. No upload may come in between.
LOCK TABLE tenants IN SHARE ROW EXCLUSIVE MODE;
UPDATE tenants SET storage_bytes = (
    SELECT coalesce(sum(size_bytes), 0) FROM images
    WHERE tenant_id = tenants.id AND deleted_at IS NULL
);

-- Undoes the statement that finds a tenant's storage full; see usage.py.
CREATE FUNCTION no_room() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'no room in the storage of this tenant' USING ERRCODE = 'OC001';
END
$$;
