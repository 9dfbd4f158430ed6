"""Write a report over pictures: from counts and stored claims, or by a language model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ocelli.domain.reports import Report, Section, Statement, counted_report, written_report
from ocelli.usecases.library_model import NO_TOKENS, TokensUsed
from ocelli.usecases.organize import check_found

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.picture_facts import PictureFacts
    from ocelli.storage.postgres.database import PostgresDatabase
    from ocelli.usecases.conversations import Asking
    from ocelli.usecases.library_model import LibraryModel
    from ocelli.usecases.library_search import LibrarySearch

MAX_FOUND = 50  # pictures of a report that names none
MOST_SHOWN = 100  # that a model is shown
MOST_CLAIMS = 20  # of a picture
LONGEST_SHOWN = 500  # characters of a description or visible text
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "summary": {"type": "string"},
        "sections": {
            "type": "array",
            "maxItems": 12,
            "items": {
                "type": "object",
                "properties": {
                    "heading": {"type": "string"},
                    "statements": {
                        "type": "array",
                        "maxItems": 50,
                        "items": {
                            "type": "object",
                            "properties": {
                                "text": {"type": "string"},
                                "pictures": {"type": "array", "items": {"type": "integer"}},
                            },
                            "required": ["text", "pictures"],
                            "additionalProperties": False,
                        },
                    },
                },
                "required": ["heading", "statements"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["title", "summary", "sections"],
    "additionalProperties": False,
}
_TASK = (
    "Write the report about the pictures that `request` asks for, from what is known of them and"
    " nothing else. Each statement is one sentence and names the numbers `n` of the pictures that"
    " it is about. `summary`: one or two sentences."
)


@dataclass(frozen=True, slots=True)
class Synthesis:
    """A report over ``pictures``, and what it cost."""

    report: Report
    pictures: Sequence[PictureFacts]
    tokens: TokensUsed = NO_TOKENS


class Synthesize:
    """Statements of a model are compared with the stored claims before they leave."""

    def __init__(
        self, database: PostgresDatabase, search: LibrarySearch, model: LibraryModel
    ) -> None:
        self._database = database
        self._search = search
        self._model = model

    async def report(
        self, asking: Asking, intent: str, image_ids: Sequence[UUID] | None
    ) -> Synthesis:
        """Return a report over these pictures; None: over those that the request describes.

        If it describes none, over the newest. Raises NotFound, UsageLimitExceeded.
        """
        return await self.write(asking, intent, await self.facts(asking, intent, image_ids))

    async def facts(
        self, asking: Asking, intent: str, image_ids: Sequence[UUID] | None
    ) -> Sequence[PictureFacts]:
        """Return what is known of the pictures of a report. Raises NotFound."""
        tenant_id = asking.tenant.id
        if image_ids is None:
            found = await self._search.search(tenant_id, intent, limit=MAX_FOUND)
            chosen = list(found.ids[:MAX_FOUND])
        async with self._database.snapshot() as tx:
            if image_ids is not None:
                pictures = await tx.picture_facts.of(tenant_id, image_ids, claims=True)
                check_found(image_ids, pictures)
                return pictures
            if chosen:
                return await tx.picture_facts.of(tenant_id, chosen, claims=True)
            return await tx.picture_facts.newest(tenant_id, MAX_FOUND, claims=True)

    async def write(
        self, asking: Asking, intent: str, pictures: Sequence[PictureFacts]
    ) -> Synthesis:
        """Return a report over ``pictures``. Raises UsageLimitExceeded."""
        counted = counted_report(intent, pictures)
        if not pictures or not self._model.is_configured:
            return Synthesis(counted, pictures)
        shown = pictures[:MOST_SHOWN]
        data = {"request": intent, "pictures": [_shown(n, e) for n, e in enumerate(shown, 1)]}
        answer = await self._model.ask(asking, _TASK, data, _SCHEMA)
        if answer.value is None:
            text = f"{counted.text}\n{answer.reason}\n"
            return Synthesis(replace(counted, text=text), pictures, answer.tokens)
        sections = [
            Section(
                each["heading"],
                tuple(
                    Statement(
                        said["text"],
                        tuple(
                            dict.fromkeys(n - 1 for n in said["pictures"] if 0 < n <= len(shown))
                        ),
                    )
                    for said in each["statements"]
                ),
            )
            for each in answer.value["sections"]
        ]
        title, summary = answer.value["title"], answer.value["summary"]
        report = written_report(intent, title, summary, sections, pictures)
        if len(pictures) > len(shown):
            left = f"The language model saw the first {len(shown)} of {len(pictures)} pictures."
            report = replace(report, text=f"{report.text}\n{left}\n")
        return Synthesis(report, pictures, answer.tokens)


def _shown(number: int, picture: PictureFacts) -> dict[str, Any]:
    return {
        "n": number,
        "name": picture.label,
        "date": f"{picture.shown_at:%Y-%m-%d}",
        "description": (picture.description or "")[:LONGEST_SHOWN],
        "visible_text": (picture.visible_text or "")[:LONGEST_SHOWN],
        "tags": list(picture.tags),
        "claims": [each.text for each in picture.claims if each.kept][:MOST_CLAIMS],
    }
