-- The tags of an answer that were chosen from a vocabulary, with their evidence; and which one a
-- tenant's requests use that name none.
ALTER TABLE analyses ADD COLUMN tagging jsonb;
ALTER TABLE tenants
    ADD COLUMN vocabulary_id uuid REFERENCES vocabularies ON DELETE SET NULL,
    ADD COLUMN vocabulary_mode text;
ALTER TABLE items ADD COLUMN vocabulary jsonb;
