"""Moderation: the safety model's judgement of pictures."""

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
    """Judges pictures; ``local`` caches the findings, for conversations as well."""

    def __init__(self, local: LocalChat, pictures: PictureLoader) -> None:
        self._local = local
        self._pictures = pictures

    async def judge(self, tenant: Tenant, refs: Sequence[PictureRef], *, max_bytes: int) -> float:
        """Return the highest probability that a picture is not safe for work. Raises ChatError."""
        opened = await self._pictures.open(tenant.id, refs, max_bytes=max_bytes)
        analysed = await self._local.look(tenant, opened, frozenset({Feature.NSFW}))
        scores = [
            each.findings.safety.nsfw for each in analysed if each.findings.safety is not None
        ]
        if len(scores) < len(analysed):
            raise UpstreamFailed("The safety model did not judge every image.")
        return max(scores)
