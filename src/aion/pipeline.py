"""Several steps in one request: ``client.pipeline()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from aion.resources._base import given, require
from aion.types.pipeline import PipelineResult, PipelineStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aion._http import Http

MAX_STEPS = 10


class Pipeline:
    """Steps, each with the pictures of those that it depends on.

    ::

        result = await (
            client.pipeline()
            .search_images("damaged utility poles")
            .synthesize("Write a summary of the damage")
            .run()
        )

    ``depends_on`` are positions of earlier steps, from 0; by default the searches before and the
    step before. Steps that depend on none work on the pictures of ``with_images``.
    """

    def __init__(self, connect: Callable[[], Http]) -> None:
        self._connect = connect
        self._steps: list[PipelineStep] = []
        self._image_ids: list[str] | None = None
        self._document_ids: list[str] | None = None

    @property
    def steps(self) -> tuple[PipelineStep, ...]:
        """The steps so far."""
        return tuple(self._steps)

    def with_images(self, ids: Sequence[str]) -> Self:
        """Give the pictures that the steps begin with."""
        self._image_ids = list(ids)
        return self

    def with_documents(self, ids: Sequence[str]) -> Self:
        """Give documents; a server that keeps only pictures passes them over."""
        self._document_ids = list(ids)
        return self

    def search_images(self, query: str) -> Self:
        """Find pictures."""
        return self._add("image_search", query)

    def search_documents(self, query: str) -> Self:
        """Find documents; a server that keeps only pictures refuses this."""
        return self._add("document_search", query)

    def search_links(self, query: str) -> Self:
        """Find links; a server that keeps only pictures refuses this."""
        return self._add("link_search", query)

    def analyze(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Look through pictures."""
        return self._add("analysis", intent, depends_on)

    def analyze_documents(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Look through documents; a server that keeps only pictures refuses this."""
        return self._add("document_analysis", intent, depends_on)

    def analyze_links(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Look through links; a server that keeps only pictures refuses this."""
        return self._add("link_analysis", intent, depends_on)

    def synthesize(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Write a report."""
        return self._add("assistant", intent, depends_on)

    def organize(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Sort pictures into folders."""
        return self._add("folder", intent, depends_on)

    def cross_reference(self, intent: str, *, depends_on: list[int] | None = None) -> Self:
        """Find what pictures have in common."""
        return self._add("cross_reference", intent, depends_on)

    async def run(self) -> PipelineResult:
        """Run all steps.

        Raises:
            ValidationError: no step, more than ten, or one that depends on a later one.
            ResourceNotFoundError: there is no such picture.
        """
        require(1 <= len(self._steps) <= MAX_STEPS, "give 1 to 10 steps", "steps")
        body = given(
            steps=[_body(each) for each in self._steps],
            image_ids=self._image_ids,
            document_ids=self._document_ids,
        )
        answer = await self._connect().json("POST", "/agents/pipeline", json=body)
        return PipelineResult.from_api_response(answer)

    def _add(self, agent: str, intent: str, depends_on: list[int] | None = None) -> Self:
        position = len(self._steps)
        links = None if depends_on is None else tuple(depends_on)
        require(1 <= len(intent) <= 2_000, "give 1 to 2,000 characters", "intent")
        require(
            all(0 <= each < position for each in links or ()),
            "a step can depend on earlier steps only",
            "depends_on",
        )
        self._steps.append(PipelineStep(agent, intent, depends_on=links))
        return self


def _body(step: PipelineStep) -> dict[str, Any]:
    links = None if step.depends_on is None else list(step.depends_on)
    return given(agent=step.agent, intent=step.intent, depends_on=links)
