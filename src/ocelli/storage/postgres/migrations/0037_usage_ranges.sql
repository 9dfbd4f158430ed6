-- How many files came on each day, whether they are there still or not.
CREATE INDEX images_by_arrival ON images (tenant_id, created_at);
