"""``/escalation-policies``: which pictures get a second, better description, and for how much."""
