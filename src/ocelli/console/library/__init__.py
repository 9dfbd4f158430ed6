"""The pictures of the tenant, as a grid."""
