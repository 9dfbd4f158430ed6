"""The installation, for its owner: backends, models, queue, health."""
