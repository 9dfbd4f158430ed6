"""Storage in Postgres: repositories, the queue, the schema."""
