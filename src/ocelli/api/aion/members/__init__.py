"""``/tenant/members``: who may do what."""
