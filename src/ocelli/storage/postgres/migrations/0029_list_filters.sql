-- Lists filter by the confidence of the newest description: kept where they look.
ALTER TABLE library ADD COLUMN confidence real;
UPDATE library SET confidence = (SELECT a.confidence FROM analyses a
    WHERE a.image_id = library.image_id AND a.status = 'completed'
    ORDER BY a.created_at DESC LIMIT 1) WHERE described;
CREATE INDEX analyses_failed ON analyses (tenant_id, image_id, created_at) WHERE status = 'failed';
