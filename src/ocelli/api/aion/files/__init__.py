"""``/user-files``."""
