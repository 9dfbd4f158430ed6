"""``/erasures``."""
