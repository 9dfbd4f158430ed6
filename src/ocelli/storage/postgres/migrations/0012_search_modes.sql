-- Searches of one kind of text by index alone: weights are not in an index, and reading every
-- vector for them costs twenty times as much. First title, tags and description; then visible text.
CREATE INDEX library_told ON library USING gin (ts_filter(words, '{a,b,c}'));
CREATE INDEX library_seen ON library USING gin (ts_filter(words, '{d}'));
