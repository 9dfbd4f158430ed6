"""``/webhooks``: where events are posted to, and what became of them."""
