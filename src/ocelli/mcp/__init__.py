"""Ocelli's tools for agents, over the Model Context Protocol: ``/mcp`` and ``ocelli mcp``.

They are a client of ``/api/v2``, by the SDK: what a key may do there it may do here.
"""
