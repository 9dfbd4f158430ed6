"""Sending pictures from a browser, each exactly once."""
