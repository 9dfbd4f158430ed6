"""Signed upload URLs, one by one and in batches."""
