"""``/tenant/audit-logs``: what was done, and what was refused."""
