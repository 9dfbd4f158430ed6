"""What a route requires of a key, declared on the route; an undeclared one requires admin.

@router.get("/user-files")
@requires(KeyRole.READ)
async def list_files(...)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ocelli.domain.errors import NotAllowed
from ocelli.domain.scopes import KeyRole, allows

if TYPE_CHECKING:
    from collections.abc import Callable

Endpoint = TypeVar("Endpoint", bound="Callable[..., Any]")

_ATTRIBUTE = "_ocelli_policy"


@dataclass(frozen=True, slots=True)
class Policy:
    """The role, or alternatively the scope, that a route requires.

    ``per_minute`` is a limit of the route, per key, beside the key's limit on all routes.
    One that is not ``counted`` has none: clients are told to poll it, and stop for good at a 429.
    One that ``stores`` is refused while the disk is full.
    """

    role: KeyRole
    scope: str | None = None
    per_minute: int | None = None
    counted: bool = True
    stores: bool = False

    def enforce(self, scopes: tuple[str, ...]) -> None:
        """Raise NotAllowed if the scopes do not allow the route."""
        if not allows(scopes, self.role, self.scope):
            wanted = f"`{self.role}`" + (f" or `{self.scope}`" if self.scope else "")
            held = ", ".join(scopes) or "none"
            raise NotAllowed(f"This needs a key with the scope {wanted}; this one has: {held}.")


EVERYTHING = Policy(KeyRole.ADMIN)


def requires(
    role: KeyRole,
    scope: str | None = None,
    *,
    per_minute: int | None = None,
    counted: bool = True,
    stores: bool = False,
) -> Callable[[Endpoint], Endpoint]:
    """Set the Policy of a route's function; apply it below the decorators of the router."""
    return _marked(Policy(role, scope, per_minute, counted, stores))


def public(endpoint: Endpoint) -> Endpoint:
    """Mark a route that needs no key: signed URLs, and those of monitoring."""
    return _marked(None)(endpoint)


def policy_of(endpoint: Callable[..., Any]) -> Policy | None:
    """Return the Policy of a route's function; None for a public one."""
    policy: Policy | None = getattr(endpoint, _ATTRIBUTE, EVERYTHING)
    return policy


def is_marked(endpoint: Callable[..., Any]) -> bool:
    """Return whether a route declares what it requires."""
    return hasattr(endpoint, _ATTRIBUTE)


def _marked(policy: Policy | None) -> Callable[[Endpoint], Endpoint]:
    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, policy)
        return endpoint

    return mark
