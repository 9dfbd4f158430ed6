"""Backups: a dump of the database, and the folder that it is kept in with the objects."""
