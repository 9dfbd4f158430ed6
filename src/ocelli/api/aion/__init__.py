"""The ``/api/v2`` dialect."""
