"""Limits and what is used of them."""
