-- Pictures in which text is visible get a lexeme of their own: the entries are made anew, by workers.
UPDATE library SET stale = true WHERE described;
