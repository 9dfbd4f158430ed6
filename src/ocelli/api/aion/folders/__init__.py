"""``/folders``: the tree that pictures are sorted into."""
