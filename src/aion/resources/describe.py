"""Describing on request: ``client.describe`` and ``client.descriptions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, overload

from aion._shape import object_of
from aion.resources._analysis import AnalysisResource, listed, picture_inputs
from aion.resources._base import given, in_thread, level_name
from aion.types.describe import DescriptionResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from aion.resources._analysis import Image, Progress
    from aion.types.common import VerificationLevel
    from aion.types.vocabularies import VocabularyMode


class DescribeOptions(TypedDict, total=False):
    """What :meth:`DescribeResource.describe` takes beside the pictures."""

    include_metadata: bool
    include_tags: bool
    providers: Sequence[str] | None
    prompt: str | None
    role: str | None
    language: str | None
    verification_level: VerificationLevel | str | None
    vocabulary: str | None
    vocabulary_mode: VocabularyMode | None
    escalation_policy: str | Mapping[str, Any] | None
    rule_set_id: str | None
    rules: Sequence[Any] | None
    max_parallel: int
    timeout_per_item: int
    on_progress: Progress | None


class DescribeResource(AnalysisResource):
    """Describe pictures that go into no library."""

    @overload
    async def describe(
        self: Any, image: Image, **options: Unpack[DescribeOptions]
    ) -> DescriptionResult: ...

    @overload
    async def describe(
        self: Any, image: Sequence[Image], **options: Unpack[DescribeOptions]
    ) -> list[DescriptionResult]: ...

    @overload
    async def describe(
        self: Any, *, object_key: str, **options: Unpack[DescribeOptions]
    ) -> DescriptionResult: ...

    @overload
    async def describe(
        self: Any, *, object_keys: Sequence[str], **options: Unpack[DescribeOptions]
    ) -> list[DescriptionResult]: ...

    async def describe(
        self: Any,
        image: Image | Sequence[Image] | None = None,
        *,
        object_key: str | None = None,
        object_keys: Sequence[str] | None = None,
        include_metadata: bool = True,
        include_tags: bool = True,
        providers: Sequence[str] | None = None,
        prompt: str | None = None,
        role: str | None = None,
        language: str | None = None,
        verification_level: VerificationLevel | str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | Mapping[str, Any] | None = None,
        rule_set_id: str | None = None,
        rules: Sequence[Any] | None = None,
        max_parallel: int = 5,
        timeout_per_item: int = 30,
        on_progress: Progress | None = None,
    ) -> DescriptionResult | list[DescriptionResult]:
        """Describe a picture that goes into no library. Deprecated: uploads are described anyway.

        The server removes it with its answer after 24 hours.

        Args:
            image: an address, a path, bytes or an open file; or a list of these.
            object_key: a stored picture instead.
            object_keys: stored pictures instead.
            include_metadata: whether to answer with metadata.
            include_tags: whether to answer with tags.
            providers: which backends to ask.
            prompt: what to say instead of what ``role`` says.
            role: for whom it is written: ``general``, ``alttext``, ``caption``, ``ecommerce`` ...
            language: an English name or an ISO code.
            verification_level: ``quick``, ``standard``, ``thorough`` or ``critical``; by default
                the server's choice.
            vocabulary: the id or name of one that tags are chosen from; by default that of
                ``client.tenant``.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: the name of a policy, one for this call alone, or ``none``; it says
                level and backends itself.
            rule_set_id: rules that the server knows.
            rules: rules of one's own.
            max_parallel: pictures at a time, if there are several.
            timeout_per_item: seconds per picture, if there are several.
            on_progress: called with the job's status, if there are several.

        Returns:
            One result, or a list of them if a list was given.

        Raises:
            ValidationError: no picture, or more than one way of naming them.
            BatchError: a picture of several could not be described.
        """
        inputs, several = await in_thread(picture_inputs, image, object_key, object_keys)
        options = given(
            providers=listed(providers),
            prompt=prompt,
            role=role,
            language=language,
            verification_level=verification_level and level_name(verification_level),
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
            rule_set_id=rule_set_id,
            rules=listed(rules),
        )
        if not several:
            flags = {"include_metadata": include_metadata, "include_tags": include_tags}
            body = {**inputs[0].to_dict(), **flags, **options}
            return _description(await self._http.json("POST", "/describe/", json=body))
        job = await self._batch.submit_describe(
            inputs, max_parallel=max_parallel, timeout_per_item=timeout_per_item, **options
        )
        return [_description(item) for item in await self._outputs(job, on_progress)]


def _description(said: object) -> DescriptionResult:
    answer = object_of(said)
    providers = answer.get("providers_used")
    features = answer.get("features") or []
    known: dict[str, Any] = {}
    if isinstance(providers, list):
        known["provider_count"] = len(providers)
    if features and "key_elements" not in answer:
        known["key_elements"] = [f["name"] for f in features if isinstance(f, dict) and "name" in f]
    return DescriptionResult.from_api_response(answer, **known)
