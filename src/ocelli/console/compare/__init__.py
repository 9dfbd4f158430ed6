"""The same pictures, asked by several backends or levels, side by side."""
