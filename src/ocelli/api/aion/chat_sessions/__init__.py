"""``/chat/sessions``: conversations about a library."""
