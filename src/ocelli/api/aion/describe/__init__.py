"""``/describe``, ``/verify``, ``/batch``: pictures that are in no list, and kept for a day."""
