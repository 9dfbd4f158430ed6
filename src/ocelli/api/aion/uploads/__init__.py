"""Uploads, sessions and batches."""
