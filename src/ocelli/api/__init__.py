"""HTTP: one dialect per folder over the same use cases."""
