"""``/webhooks``: the addresses that a tenant's events are posted to."""
