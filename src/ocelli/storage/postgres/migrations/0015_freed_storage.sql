-- Deleted pictures were counted as stored for ever.
UPDATE tenants SET storage_bytes = (
    SELECT coalesce(sum(size_bytes), 0) FROM images
    WHERE tenant_id = tenants.id AND deleted_at IS NULL
);
