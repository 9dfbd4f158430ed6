"""Work on the library in words: ``client.agent_operations``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aion._paths import segment
from aion.resources._base import Resource, given, require
from aion.types.agent_operations import OrganizeResult, SynthesizeResult, UndoOrganizeResult

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_INTENT_LENGTH = 2_000


class AgentOperationsResource(Resource):
    """Sort pictures into folders and write reports, as told in words."""

    async def organize(
        self,
        intent: str,
        *,
        image_ids: Sequence[str] | None = None,
        document_ids: Sequence[str] | None = None,
        parent_folder_id: str | None = None,
    ) -> OrganizeResult:
        """Make folders and move pictures into them, all or nothing.

        Args:
            intent: 1 to 2,000 characters, such as ``"into beaches, mountains and cities"``.
            image_ids: sort these pictures, at most 1,000; by default the newest in no folder.
            document_ids: passed over: only pictures are kept.
            parent_folder_id: where the folders are made; by default the root.

        Raises:
            ValidationError: an argument makes no sense.
            ResourceNotFoundError: there is no such picture or folder.
        """
        body = given(
            intent=checked_intent(intent),
            image_ids=None if image_ids is None else list(image_ids),
            document_ids=None if document_ids is None else list(document_ids),
            parent_folder_id=parent_folder_id,
        )
        answer = await self._http.json("POST", "/agents/organize", json=body)
        return OrganizeResult.from_api_response(answer)

    async def synthesize(
        self,
        intent: str,
        *,
        image_ids: Sequence[str] | None = None,
        document_ids: Sequence[str] | None = None,
        auto_save: bool = False,
    ) -> SynthesizeResult:
        """Write a report over pictures, in Markdown.

        Args:
            intent: 1 to 2,000 characters, what the report is to say.
            image_ids: at most 1,000; by default pictures that ``intent`` describes.
            document_ids: passed over: only pictures are kept.
            auto_save: passed over: reports are not kept.

        Raises:
            ValidationError: an argument makes no sense.
            ResourceNotFoundError: there is no such picture.
        """
        body = given(
            intent=checked_intent(intent),
            image_ids=None if image_ids is None else list(image_ids),
            document_ids=None if document_ids is None else list(document_ids),
            auto_save=auto_save,
        )
        answer = await self._http.json("POST", "/agents/synthesize", json=body)
        return SynthesizeResult.from_api_response(answer)

    async def undo_organize(self, plan_id: str) -> UndoOrganizeResult:
        """Take back what ``organize`` did; what was changed since is kept.

        Args:
            plan_id: that of the result.

        Raises:
            ResourceNotFoundError: there is no such plan; they are kept for 30 days.
            AionvisionError: it is undone already; ``code`` is ``CONFLICT``.
        """
        require(bool(plan_id), "give an id", "plan_id")
        path = f"/agents/organize/{segment(plan_id)}/undo"
        return UndoOrganizeResult.from_api_response(await self._http.json("POST", path))


def checked_intent(intent: str) -> str:
    """Return an instruction. Raises ValidationError."""
    require(1 <= len(intent) <= MAX_INTENT_LENGTH, "give 1 to 2,000 characters", "intent")
    return intent
