"""Describing and verifying on request: ``client.describe`` and ``client.verify``."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypedDict, overload

from aion._files import Source, as_list, content_of, one_source
from aion.exceptions import BatchError, ValidationError
from aion.resources._base import Resource, given, in_thread, level_name, require
from aion.resources.batch import Batch
from aion.types.batch import BatchImageInput, BatchItemResult, BatchVerifyInput
from aion.types.describe import DescriptionResult, VerificationResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias, Unpack

    from aion._files import File
    from aion.types.batch import BatchStatusResult, BatchSubmissionResult
    from aion.types.common import VerificationLevel
    from aion.types.vocabularies import VocabularyMode

    Image: TypeAlias = File
    Progress: TypeAlias = Callable[[BatchStatusResult], Awaitable[None] | None]

_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"BM", "image/bmp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
)


class DescribeOptions(TypedDict, total=False):
    """What :meth:`Analysis.describe` takes beside the pictures."""

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


class VerifyOptions(TypedDict, total=False):
    """What :meth:`Analysis.verify` takes beside pictures and texts."""

    mode: str
    verification_level: VerificationLevel | str
    use_consensus: bool
    providers: Sequence[str] | None
    rule_set_id: str | None
    rules: Sequence[Any] | None
    max_parallel: int
    timeout_per_item: int
    on_progress: Progress | None


class Analysis(Resource):
    """One picture: one request. Several: a batch job and its results."""

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
        inputs, several = await in_thread(_inputs, image, object_key, object_keys)
        options = given(
            providers=_list(providers),
            prompt=prompt,
            role=role,
            language=language,
            verification_level=verification_level and level_name(verification_level),
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
            rule_set_id=rule_set_id,
            rules=_list(rules),
        )
        if not several:
            flags = {"include_metadata": include_metadata, "include_tags": include_tags}
            body = {**inputs[0].to_dict(), **flags, **options}
            return _description(await self._http.json("POST", "/describe/", json=body))
        job = await self._batch.submit_describe(
            inputs, max_parallel=max_parallel, timeout_per_item=timeout_per_item, **options
        )
        return [_description(item) for item in await self._outputs(job, on_progress)]

    @overload
    async def verify(
        self: Any, image: Image, content: str, **options: Unpack[VerifyOptions]
    ) -> VerificationResult: ...

    @overload
    async def verify(
        self: Any, *, content: str, object_key: str, **options: Unpack[VerifyOptions]
    ) -> VerificationResult: ...

    @overload
    async def verify(
        self: Any,
        *,
        images: Sequence[Image],
        contents: Sequence[str],
        **options: Unpack[VerifyOptions],
    ) -> list[VerificationResult]: ...

    @overload
    async def verify(
        self: Any,
        *,
        object_keys: Sequence[str],
        contents: Sequence[str],
        **options: Unpack[VerifyOptions],
    ) -> list[VerificationResult]: ...

    async def verify(
        self: Any,
        image: Image | None = None,
        content: str = "",
        *,
        images: Sequence[Image] | None = None,
        contents: Sequence[str] | None = None,
        object_key: str | None = None,
        object_keys: Sequence[str] | None = None,
        mode: str = "response",
        verification_level: VerificationLevel | str = "standard",
        use_consensus: bool = True,
        providers: Sequence[str] | None = None,
        rule_set_id: str | None = None,
        rules: Sequence[Any] | None = None,
        max_parallel: int = 5,
        timeout_per_item: int = 30,
        on_progress: Progress | None = None,
    ) -> VerificationResult | list[VerificationResult]:
        """Check whether a text is true of a picture. Deprecated.

        Args:
            image: an address, a path, bytes or an open file.
            content: the text, 1 to 10,000 characters.
            images: several pictures instead.
            contents: their texts, one for each.
            object_key: a stored picture instead.
            object_keys: stored pictures instead.
            mode: ``response`` (a whole answer) or ``claim`` (one statement).
            verification_level: ``quick``, ``standard``, ``thorough`` or ``critical``.
            use_consensus: whether several looks decide together.
            providers: which backends to ask.
            rule_set_id: rules that the server knows.
            rules: rules of one's own.
            max_parallel: pictures at a time, if there are several.
            timeout_per_item: seconds per picture, if there are several.
            on_progress: called with the job's status, if there are several.

        Returns:
            One result, or a list of them if several pictures were given.

        Raises:
            ValidationError: no picture or text, unequal numbers of them, or more than one way of
                naming the pictures.
            BatchError: a picture of several could not be checked.
        """
        require(image is None or images is None, "give image or images, not both", "image")
        inputs, several = await in_thread(
            _inputs, image if images is None else list(images), object_key, object_keys
        )
        texts = list(contents or []) if several else [content]
        require(not (several and content), "for several pictures give contents", "content")
        require(
            len(texts) == len(inputs), f"{len(texts)} texts for {len(inputs)} pictures", "contents"
        )
        require(all(1 <= len(t) <= 10_000 for t in texts), "1 to 10,000 characters", "content")
        options = given(
            verification_level=level_name(verification_level),
            providers=_list(providers),
            rule_set_id=rule_set_id,
            rules=_list(rules),
        )
        if not several:
            body = {**inputs[0].to_dict(), "content": content, "mode": mode, **options}
            body["use_consensus"] = use_consensus
            answer = await self._http.json("POST", "/verify/", json=body)
            return VerificationResult.from_api_response(answer)
        pairs = [BatchVerifyInput(*pair) for pair in zip(inputs, texts, strict=True)]
        job = await self._batch.submit_verify(
            pairs, max_parallel=max_parallel, timeout_per_item=timeout_per_item, **options
        )
        outputs = await self._outputs(job, on_progress)
        return [VerificationResult.from_api_response(item) for item in outputs]

    @property
    def _batch(self) -> Batch:
        return Batch(self._config, self._connect)

    async def _outputs(
        self, job: BatchSubmissionResult, on_progress: Progress | None
    ) -> list[dict[str, Any]]:
        """What a job found, in the order of its items."""
        await self._batch.wait_for_completion(job.batch_id, on_progress=on_progress)
        items = [item async for item in self._batch.get_all_results(job.batch_id)]
        items.sort(key=lambda item: item.item_index)
        return [_output(job.batch_id, item) for item in items]


def _output(batch_id: str, item: BatchItemResult) -> dict[str, Any]:
    if item.output_data is None:
        raise BatchError(
            f"item {item.item_index}: {item.error_message or item.status.value}",
            batch_id=batch_id,
            failed_items=1,
            details={"item_index": item.item_index},
        )
    return {"operation_id": item.item_id, **item.output_data}


def _description(answer: dict[str, Any]) -> DescriptionResult:
    providers = answer.get("providers_used")
    features = answer.get("features") or []
    known: dict[str, Any] = {}
    if isinstance(providers, list):
        known["provider_count"] = len(providers)
    if features and "key_elements" not in answer:
        known["key_elements"] = [f["name"] for f in features if isinstance(f, dict) and "name" in f]
    return DescriptionResult.from_api_response(answer, **known)


def _inputs(
    image: Image | Sequence[Image] | None,
    object_key: str | None,
    object_keys: Sequence[str] | None,
) -> tuple[list[BatchImageInput], bool]:
    """The pictures of a call, and whether there are to be several results. Blocking."""
    if sum(way is not None for way in (image, object_key, object_keys)) != 1:
        raise ValidationError(
            "name the pictures in exactly one way: image, object_key or object_keys"
        )
    if object_key is not None:
        return [BatchImageInput(object_key=object_key)], False
    if object_keys is not None:
        return [BatchImageInput(object_key=key) for key in object_keys], True
    assert image is not None
    images, one = as_list(image)
    return [_input(each) for each in images], not one


def _input(image: Image) -> BatchImageInput:
    if isinstance(image, str) and image.startswith(("http://", "https://")):
        return BatchImageInput(image_url=image)
    if isinstance(image, str) and image.startswith("data:"):
        return BatchImageInput(image_base64=image)
    content = content_of(image)
    if content is None:
        content = _content(one_source(image))
    kind = _kind(content)
    return BatchImageInput(image_base64=f"data:{kind};base64,{base64.b64encode(content).decode()}")


def _kind(content: bytes) -> str:
    """The MIME type by the first bytes; the server looks at the bytes itself."""
    if content[4:8] == b"ftyp":
        return "image/avif" if content[8:11] == b"avi" else "image/heic"
    return next((kind for start, kind in _SIGNATURES if content.startswith(start)), "image/jpeg")


def _content(source: Source) -> bytes:
    return b"".join(source.pieces(source.size()))


def _list(values: Sequence[Any] | None) -> list[Any] | None:
    return None if values is None else [*values]
