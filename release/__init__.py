"""What makes a release: ``python -m release``."""
