"""The HTTP API: one surface per folder over the same use cases."""
