"""Ocelli: a self-hosted image-understanding server."""

__version__ = "0.1.0"
