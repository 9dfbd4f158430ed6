-- How thoroughly a file that is sent by itself will be looked at; files of a session share its level.
ALTER TABLE items ADD COLUMN level text;
