"""Verifying on request: ``client.verify`` and ``client.verifications``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, overload

from aion.resources._analysis import AnalysisResource, listed, picture_inputs
from aion.resources._base import given, in_thread, level_name, require
from aion.types.batch import BatchVerifyInput
from aion.types.verify import VerificationResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from aion.resources._analysis import Image, Progress
    from aion.types.common import VerificationLevel


class VerifyOptions(TypedDict, total=False):
    """What :meth:`VerifyResource.verify` takes beside pictures and texts."""

    mode: str
    verification_level: VerificationLevel | str
    use_consensus: bool
    providers: Sequence[str] | None
    rule_set_id: str | None
    rules: Sequence[Any] | None
    max_parallel: int
    timeout_per_item: int
    on_progress: Progress | None


class VerifyResource(AnalysisResource):
    """Check whether texts are true of pictures."""

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
            picture_inputs, image if images is None else list(images), object_key, object_keys
        )
        texts = list(contents or []) if several else [content]
        require(not (several and content), "for several pictures give contents", "content")
        require(
            len(texts) == len(inputs), f"{len(texts)} texts for {len(inputs)} pictures", "contents"
        )
        require(all(1 <= len(t) <= 10_000 for t in texts), "1 to 10,000 characters", "content")
        options = given(
            verification_level=level_name(verification_level),
            providers=listed(providers),
            rule_set_id=rule_set_id,
            rules=listed(rules),
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
