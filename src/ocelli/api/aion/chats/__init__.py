"""``/chat/images``: the pictures that conversations are about."""
