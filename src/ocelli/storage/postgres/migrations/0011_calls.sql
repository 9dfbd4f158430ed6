-- The model calls of each analysis: who, what for, tokens, time.
ALTER TABLE analyses ADD COLUMN calls jsonb NOT NULL DEFAULT '[]';
