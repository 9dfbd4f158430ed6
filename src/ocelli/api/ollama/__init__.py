"""Ollama's own API, for tools that describe pictures with it."""
