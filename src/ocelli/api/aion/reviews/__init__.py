"""``/reviews``: descriptions that wait for a person."""
