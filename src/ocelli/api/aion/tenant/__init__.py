"""``/tenant``."""
