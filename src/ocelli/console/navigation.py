"""The pages that the console leads to."""

from __future__ import annotations

from dataclasses import dataclass

from ocelli.domain.scopes import KeyRole


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """A page of the navigation; who may not open it does not see it."""

    title: str
    path: str
    role: KeyRole = KeyRole.READ
    for_owner: bool = False


ENTRIES = (
    NavigationEntry("Library", "/library"),
    NavigationEntry("Review", "/review"),
    NavigationEntry("Drop", "/drop", KeyRole.WRITE),
    NavigationEntry("Jobs", "/jobs"),
    NavigationEntry("Compare", "/compare", KeyRole.WRITE),
    NavigationEntry("Playground", "/playground", KeyRole.WRITE),
    NavigationEntry("Vocabulary", "/vocabulary"),
    NavigationEntry("Usage", "/usage"),
    NavigationEntry("Webhooks", "/webhooks", KeyRole.ADMIN),
    NavigationEntry("Privacy", "/privacy", KeyRole.ADMIN),
    NavigationEntry("Backends", "/backends", KeyRole.ADMIN, for_owner=True),
)
"""In the order in which they are shown; the first one is where the console begins."""
