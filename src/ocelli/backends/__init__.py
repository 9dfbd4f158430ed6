"""The things that look at pictures, each behind ``ocelli.domain.ports_backends.Backend``."""
