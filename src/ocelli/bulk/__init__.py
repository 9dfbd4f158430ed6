"""Millions of pictures: what to describe, who does it, and what has been done."""
