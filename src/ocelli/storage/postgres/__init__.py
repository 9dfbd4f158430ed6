"""Everything that Ocelli keeps in Postgres: rows, the queue, the schema."""
