"""Who runs the workers of a run."""
