"""Sessions: files that come together."""
