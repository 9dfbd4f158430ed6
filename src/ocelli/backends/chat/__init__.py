"""Backends that are reached over the OpenAI chat protocol."""
