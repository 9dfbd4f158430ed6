"""Colours of pictures, and finding pictures by them."""
