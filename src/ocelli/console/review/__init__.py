"""Descriptions that wait for a person, the most doubtful first, one at a time."""
