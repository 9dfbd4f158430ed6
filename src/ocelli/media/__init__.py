"""Pictures as bytes: what they are, what they show, and smaller copies of them.

Everything here is synchronous and keeps no state; libvips and numpy are loaded on first use.
"""
