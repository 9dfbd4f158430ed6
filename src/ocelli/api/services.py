"""What the routes work with; put together in ``ocelli.wiring``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from ocelli.usecases.accounts import Accounts, RateLimiter
    from ocelli.usecases.files import Files
    from ocelli.usecases.upload import Upload


class SignedFolder(Protocol):
    """A store whose signed URLs we serve ourselves."""

    def allows(self, method: str, key: str, query: dict[str, str]) -> bool:
        """Whether the query carries a signature for exactly this that has not expired."""
        ...

    def path(self, key: str) -> Path:
        """The file of ``key``."""
        ...


@dataclass(frozen=True)
class Services:
    """One per API process."""

    accounts: Accounts
    rates: RateLimiter
    upload: Upload
    files: Files
    checks: dict[str, Callable[[], Awaitable[None]]]
    gauges: Callable[[], Awaitable[dict[str, dict[str, float]]]]
    lifespan: Callable[[], AbstractAsyncContextManager[Any]]
    max_upload_bytes: int
    signed_folder: SignedFolder | None = None
    public_url: str | None = None
