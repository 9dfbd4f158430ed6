"""Postgres and objects: what survives a restart."""
