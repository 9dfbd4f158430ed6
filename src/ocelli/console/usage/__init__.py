"""Keys, what was used, and what is left."""
