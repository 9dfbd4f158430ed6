-- Requests to /api/fetch can be cancelled, as sessions and batches.
ALTER TABLE requests ADD COLUMN IF NOT EXISTS cancelled_at timestamptz;
