"""``/describe``, ``/verify`` and ``/batch``: questions about pictures that are not kept."""
