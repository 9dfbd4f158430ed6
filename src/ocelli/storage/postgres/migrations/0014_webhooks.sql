-- Whom to tell when a batch has ended. An address of announced_at NULL is still to be told.
ALTER TABLE batches
    ADD COLUMN webhook_url text,
    ADD COLUMN announced_at timestamptz;
CREATE INDEX batches_to_announce ON batches (created_at)
    WHERE webhook_url IS NOT NULL AND announced_at IS NULL;
