"""``/agents``: requests in words about the library."""
