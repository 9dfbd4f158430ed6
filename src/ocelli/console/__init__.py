"""The console: pages for people over the same use cases as the APIs.

It knows what the surfaces of ``ocelli.api`` share, and none of them; they know nothing of it. It is
removed by deleting this folder and its line in ``ocelli.wiring.api``.
"""
