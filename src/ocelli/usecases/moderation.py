"""Pictures against the safety model, and nothing but that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocelli.domain.chat_errors import UpstreamFailed
from ocelli.domain.findings import Feature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocelli.domain.accounts import Tenant
    from ocelli.domain.chat import PictureRef
    from ocelli.usecases.chat import LocalChat
    from ocelli.usecases.chat_pictures import PictureLoader


class Moderator:
    """``local`` remembers what was found, also for conversations about the same pictures."""

    def __init__(self, local: LocalChat, pictures: PictureLoader) -> None:
        self._local = local
        self._pictures = pictures

    async def judge(self, tenant: Tenant, refs: Sequence[PictureRef], *, max_bytes: int) -> float:
        """The highest probability that one of them is not safe for work. Raises ChatError."""
        opened = await self._pictures.open(tenant.id, refs, max_bytes=max_bytes)
        looked = await self._local.look(tenant, opened, frozenset({Feature.NSFW}))
        scores = [each.findings.safety.nsfw for each in looked if each.findings.safety is not None]
        if len(scores) < len(looked):
            raise UpstreamFailed("The safety model did not judge every image.")
        return max(scores)
