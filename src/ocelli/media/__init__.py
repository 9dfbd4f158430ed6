"""Media files: headers, decoding, colours, variants, fetching.

Everything here is synchronous and keeps no state; libvips and numpy are loaded on first use.
"""
