"""What describing and verifying on request share: pictures that are sent, and jobs of several."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from aion._files import FileFailed, Source, as_list, content_of, one_source
from aion.exceptions import BatchError, ValidationError
from aion.resources._base import Resource
from aion.resources.batch import BatchResource
from aion.types.batch import BatchImageInput, BatchItemResult

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    from aion._files import File
    from aion.types.batch import BatchStatusResult, BatchSubmissionResult

    Image: TypeAlias = File
    Progress: TypeAlias = Callable[[BatchStatusResult], Awaitable[None] | None]

LONGEST = 200 * 1024 * 1024  # bytes of a picture in a request: what the largest tier may send
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"BM", "image/bmp"),
    (b"II", "image/tiff"),
    (b"MM", "image/tiff"),
)


class AnalysisResource(Resource):
    """One picture: one request. Several: a batch job and its results."""

    @property
    def _batch(self) -> BatchResource:
        return BatchResource(self._config, self._connect)

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
            failed_items=[item.item_id],
            details={"item_index": item.item_index},
        )
    return {"operation_id": item.item_id, **item.output_data}


def picture_inputs(
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
    """The bytes of a file. Raises ValidationError, also for one that no request may hold."""
    try:
        size = source.size()
        if size > LONGEST:
            raise FileFailed(source, f"it is larger than {LONGEST // 1024**2} MB")
        return b"".join(source.pieces(size))
    except FileFailed as failed:
        raise ValidationError(
            f"{source.filename}: {failed.reason}",
            details={"field": "file", "filename": source.filename},
        ) from failed


def listed(values: Sequence[Any] | None) -> list[Any] | None:
    """Return the values as a list, or None."""
    return None if values is None else [*values]
