"""``/vocabularies``: the terms that a tenant's tags are chosen from."""
