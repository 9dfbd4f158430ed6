-- Words are folded otherwise from here on: a worker folds again what was folded before (see
-- ocelli.usecases.search_index). A later change of the folding says UPDATE library SET stale = true.
ALTER TABLE library ADD COLUMN stale boolean NOT NULL DEFAULT true;
ALTER TABLE library ALTER COLUMN stale SET DEFAULT false;
CREATE INDEX library_stale ON library (image_id) WHERE stale;
