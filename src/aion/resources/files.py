"""The library of pictures: ``client.files``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aion._paths import segment
from aion._shape import object_of
from aion.resources._base import Resource, flag, given, in_thread, moment, pages, require
from aion.types.common import VerificationLevel
from aion.types.files import (
    BatchDeleteFilesResponse,
    DeleteFileResult,
    FileList,
    RedescribeResult,
    SimilarFiles,
    UpdateFileResult,
    UserFile,
    UserFileDetails,
)
from aion.types.reviews import FileEditList

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import date

    from aion._files import File
    from aion.types.vocabularies import VocabularyMode


class FilesResource(Resource):
    """Find, read, change and delete pictures."""

    async def list(
        self,
        *,
        search: str | None = None,
        search_mode: str = "all",
        tags: Sequence[str] | None = None,
        date_from: date | str | None = None,
        date_to: date | str | None = None,
        has_description: bool | None = None,
        ids: Sequence[str] | None = None,
        media_types: Sequence[str] | None = None,
        limit: int = 20,
        offset: int = 0,
        sort_by: str = "content_created_at",
        sort_order: str = "desc",
        description_state: str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        color: str | None = None,
    ) -> FileList:
        """One page of the library.

        Args:
            search: words to look for.
            search_mode: ``all``, ``metadata`` or ``visible_text``.
            tags: the picture must have all of them.
            date_from: not older than this (a date, a datetime, or ISO 8601).
            date_to: not newer than this.
            has_description: only those with, or only those without.
            ids: only these, at most 500.
            media_types: ``image``, ``video``, ``document`` or ``link``.
            limit: size of the page, 1 to 100.
            offset: where it begins.
            sort_by: ``content_created_at``, ``created_at``, ``title`` or ``size_bytes``.
            sort_order: ``desc`` or ``asc``.
            description_state: ``described``, ``under_way``, ``failed`` or ``none``.
            min_confidence: of the description, 0 to 1.
            max_confidence: of the description, 0 to 1.
            color: a main colour, ``#rrggbb``: among the 1,000 nearest pictures.

        Raises:
            ValidationError: a value outside these.
        """
        return await self._page(
            search=search,
            search_mode=search_mode,
            tags=tags,
            date_from=date_from,
            date_to=date_to,
            has_description=has_description,
            ids=ids,
            media_types=media_types,
            limit=limit,
            offset=offset,
            sort_by=sort_by,
            sort_order=sort_order,
            description_state=description_state,
            min_confidence=min_confidence,
            max_confidence=max_confidence,
            color=color,
        )

    async def _page(
        self,
        *,
        tags: Sequence[str] | None,
        date_from: date | str | None,
        date_to: date | str | None,
        has_description: bool | None,
        media_types: Sequence[str] | None,
        limit: int,
        ids: Sequence[str] | None = None,
        **plain: Any,
    ) -> FileList:
        """One page; ``plain`` goes into the query as it is."""
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        require(ids is None or len(ids) <= 500, "at most 500 ids", "ids")
        params = given(
            tags=_list(tags),
            date_from=moment(date_from),
            date_to=moment(date_to),
            has_description=None if has_description is None else flag(has_description),
            ids=_list(ids),
            media_types=_list(media_types),
            limit=limit,
            **plain,
        )
        return FileList.from_api_response(
            await self._http.json("GET", "/user-files", params=params)
        )

    async def list_all(
        self,
        *,
        search: str | None = None,
        search_mode: str = "all",
        tags: Sequence[str] | None = None,
        date_from: date | str | None = None,
        date_to: date | str | None = None,
        has_description: bool | None = None,
        media_types: Sequence[str] | None = None,
        sort_by: str = "content_created_at",
        sort_order: str = "desc",
        page_size: int = 50,
        description_state: str | None = None,
        min_confidence: float | None = None,
        max_confidence: float | None = None,
        color: str | None = None,
    ) -> AsyncIterator[UserFile]:
        """All pictures, page by page: ``async for file in client.files.list_all()``.

        The filters are those of :meth:`list`; ``page_size`` is from 1 to 100. Pictures that are
        deleted or added meanwhile make it neither skip nor repeat others.

        Raises:
            ValidationError: a value that :meth:`list` does not take.
        """

        async def fetch(where: dict[str, Any]) -> tuple[Sequence[UserFile], bool, str | None]:
            page = await self._page(
                search=search,
                search_mode=search_mode,
                tags=tags,
                date_from=date_from,
                date_to=date_to,
                has_description=has_description,
                media_types=media_types,
                limit=page_size,
                sort_by=sort_by,
                sort_order=sort_order,
                description_state=description_state,
                min_confidence=min_confidence,
                max_confidence=max_confidence,
                color=color,
                **where,
            )
            return page.files, page.has_more, page.next_cursor

        async for file in pages(fetch):
            yield file

    async def get(self, file_id: str) -> UserFileDetails:
        """Everything about one picture (its id, or the first 8 characters of it).

        Raises:
            ResourceNotFoundError: no such picture.
        """
        answer = await self._http.json("GET", f"/user-files/{segment(file_id)}")
        return UserFileDetails.from_api_response(answer)

    async def update(
        self,
        file_id: str,
        *,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        description: str | None = None,
        alt_text: str | None = None,
        rejected_tags: Sequence[str] | None = None,
        claims: Sequence[Mapping[str, Any]] | None = None,
        review: str | None = None,
        revision: int | None = None,
    ) -> UpdateFileResult:
        """Update title, description, tags, claims or review; no machine overwrites them.

        What is not given stays; an empty text or list removes.

        Args:
            file_id: the picture.
            title: up to 255 characters.
            tags: up to 40, shown in place of the machine's.
            description: up to 10,000 characters.
            alt_text: up to 10,000 characters.
            rejected_tags: tags of machines not to show or find.
            claims: verdicts on claims, such as ``{"claim": "There are three cups.", "verdict":
                "corrected", "text": "There are two cups."}``; ``accepted``, ``rejected`` and
                ``added`` have no text, None takes a verdict back.
            review: ``approved``, ``rejected`` or ``pending``.
            revision: the ``revision`` that was read. If it is not the present one, nothing is
                changed.

        Raises:
            ValidationError: nothing is given, or the server refuses a value.
            AionvisionError: with code ``CONFLICT``, if others were faster: ``details["changes"]``
                says what they did.
            ResourceNotFoundError: no such picture.
        """
        body = change(
            title=title,
            tags=tags,
            description=description,
            alt_text=alt_text,
            rejected_tags=rejected_tags,
            claims=claims,
            review=review,
        )
        require(bool(body), "say what to change", "title")
        path = f"/user-files/{segment(file_id)}"
        answer = await self._http.json("PATCH", path, json=body | given(revision=revision))
        return UpdateFileResult.from_api_response(answer)

    async def edits(
        self, file_id: str, *, limit: int = 20, cursor: str | None = None
    ) -> FileEditList:
        """What people changed about a picture, newest first.

        Args:
            file_id: the picture.
            limit: size of the page, 1 to 100.
            cursor: ``next_cursor`` of the page before.

        Raises:
            ResourceNotFoundError: no such picture.
        """
        require(1 <= limit <= 100, "limit must be from 1 to 100", "limit")
        answer = await self._http.json(
            "GET",
            f"/user-files/{segment(file_id)}/edits",
            params=given(limit=limit, cursor=cursor),
        )
        return FileEditList.from_api_response(answer)

    async def undo(self, file_id: str, edit_id: str) -> UpdateFileResult:
        """Set the field of a change back to what it was before.

        Raises:
            AionvisionError: with code ``CONFLICT``, if it was changed again since.
            ResourceNotFoundError: no such picture or change.
        """
        path = f"/user-files/{segment(file_id)}/edits/{segment(edit_id)}/undo"
        return UpdateFileResult.from_api_response(await self._http.json("POST", path))

    async def delete(self, file_id: str) -> DeleteFileResult:
        """Delete a picture; it can be recovered for 30 days.

        Raises:
            ResourceNotFoundError: no such picture.
        """
        answer = await self._http.json("DELETE", f"/user-files/{segment(file_id)}")
        return DeleteFileResult.from_api_response(answer)

    async def batch_delete(self, file_ids: Sequence[str]) -> BatchDeleteFilesResponse:
        """Delete 1 to 100 pictures; those being processed are skipped.

        Raises:
            ValidationError: none, more than 100, or one twice.
        """
        require(1 <= len(file_ids) <= 100, "give 1 to 100 ids", "file_ids")
        require(len(set(file_ids)) == len(file_ids), "an id is there twice", "file_ids")
        body = {"file_ids": _list(file_ids)}
        answer = await self._http.json("POST", "/user-files/batch-delete", json=body)
        return BatchDeleteFilesResponse.from_api_response(answer)

    async def similar(self, file_id: str, *, limit: int = 20) -> SimilarFiles:
        """The pictures of the library that are like one of it, at most 100.

        Raises:
            ResourceNotFoundError: no such picture.
        """
        require(1 <= limit <= 100, "limit is from 1 to 100", "limit")
        path = f"/user-files/{segment(file_id)}/similar"
        answer = await self._http.json("GET", path, params={"limit": limit})
        return SimilarFiles.from_api_response(answer)

    async def similar_to(self, image: File, *, limit: int = 20) -> SimilarFiles:
        """The pictures of the library that are like another picture, which is not kept.

        A server that cannot compare pictures by their looks describes it first, for one credit.

        Args:
            image: an address, a path, bytes or an open file.
            limit: how many, at most 100.

        Raises:
            ValidationError: it is no picture.
        """
        from aion.resources._analysis import picture_inputs

        require(1 <= limit <= 100, "limit is from 1 to 100", "limit")
        inputs, _ = await in_thread(picture_inputs, image, None, None)
        body = {**inputs[0].to_dict(), "limit": limit}
        answer = await self._http.json("POST", "/user-files/similar", json=body)
        return SimilarFiles.from_api_response(answer)

    async def get_variant(self, file_id: str, variant_type: str = "medium_750") -> str:
        """The address of a size: ``original``, ``tiny_64``, ``small_256``, ``medium_750`` or
        ``large_1024``. It needs no key and lives for an hour.

        Raises:
            ResourceNotFoundError: no such picture or size.
        """
        path = f"/user-files/{segment(file_id)}/variant/{segment(variant_type)}"
        return await self._http.location(path)

    async def download(self, file_id: str, variant_type: str | None = None) -> bytes:
        """The original bytes, or those of a size (see :meth:`get_variant`).

        Raises:
            ResourceNotFoundError: no such picture or size.
        """
        size = "download" if variant_type is None else f"variant/{segment(variant_type)}"
        return await self._http.download(f"/user-files/{segment(file_id)}/{size}")

    async def trigger_variant_generation(self, file_id: str) -> dict[str, Any]:
        """Make the sizes of a picture again.

        Raises:
            ResourceNotFoundError: no such picture.
        """
        path = f"/user-files/{segment(file_id)}/trigger-variants"
        return object_of(await self._http.json("POST", path))

    async def redescribe(
        self,
        file_id: str,
        *,
        verification_level: VerificationLevel | str | None = None,
        providers: Sequence[str] | None = None,
        role: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | Mapping[str, Any] | None = None,
    ) -> RedescribeResult:
        """Describe a picture again; ``client.uploads.wait_for_description`` waits for the end.

        Earlier descriptions are kept: ``full_descriptions`` of :meth:`get`.

        Args:
            file_id: the picture.
            verification_level: how thoroughly the description is checked; by default
                ``standard``, or what the account's default policy says.
            providers: names of backends; by default the server's own.
            role: for whom it is written, such as ``alttext``.
            language: an English name or an ISO code.
            prompt: what to say instead of what ``role`` says.
            vocabulary: the id or name of one that tags are chosen from; by default that of
                ``client.tenant``.
            vocabulary_mode: ``strict``: only its terms; ``prefer``: others too; ``off``.
            escalation_policy: the name of a policy, one for this call alone, or ``none``; it says
                level and backends itself.

        Raises:
            ResourceNotFoundError: no such picture, or vocabulary.
            QuotaExceededError: the plan's limit is reached.
        """
        body = _wording(
            verification_level,
            providers,
            role=role,
            language=language,
            prompt=prompt,
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
        )
        path = f"/user-files/{segment(file_id)}/describe"
        answer = await self._http.json("POST", path, json=body)
        return RedescribeResult.from_api_response(answer)

    async def redescribe_matching(
        self,
        *,
        verification_level: VerificationLevel | str | None = None,
        providers: Sequence[str] | None = None,
        role: str | None = None,
        language: str | None = None,
        prompt: str | None = None,
        vocabulary: str | None = None,
        vocabulary_mode: VocabularyMode | None = None,
        escalation_policy: str | Mapping[str, Any] | None = None,
        search: str | None = None,
        search_mode: str | None = None,
        tags: Sequence[str] | None = None,
        date_from: date | str | None = None,
        date_to: date | str | None = None,
        has_description: bool | None = None,
        ids: Sequence[str] | None = None,
        media_types: Sequence[str] | None = None,
    ) -> RedescribeResult:
        """Describe all pictures again that match; without a filter all of them.

        ``client.batch.wait_for_completion`` waits for the end. What is asked for is that of
        :meth:`redescribe`, the filters are those of :meth:`list`.

        Raises:
            ValidationError: a value outside these, or more than 10,000 pictures.
            QuotaExceededError: the plan's limit is reached; then none is described again.
        """
        require(ids is None or len(ids) <= 500, "at most 500 ids", "ids")
        filters = given(
            search=search,
            search_mode=search_mode,
            tags=_list(tags),
            date_from=moment(date_from),
            date_to=moment(date_to),
            has_description=has_description,
            ids=_list(ids),
            media_types=_list(media_types),
        )
        body = _wording(
            verification_level,
            providers,
            role=role,
            language=language,
            prompt=prompt,
            vocabulary=vocabulary,
            vocabulary_mode=vocabulary_mode,
            escalation_policy=escalation_policy,
        )
        answer = await self._http.json("POST", "/user-files/describe", json={**filters, **body})
        return RedescribeResult.from_api_response(answer)


def _wording(
    level: VerificationLevel | str | None,
    providers: Sequence[str] | None,
    escalation_policy: str | Mapping[str, Any] | None,
    **wording: str | None,
) -> dict[str, Any]:
    require(
        level is None or level in list(VerificationLevel),
        f"verification_level must be one of {', '.join(VerificationLevel)}, not {level!r}",
        "verification_level",
    )
    return given(
        verification_level=level and VerificationLevel(level).value,
        providers=_list(providers),
        escalation_policy=escalation_policy,
        **wording,
    )


def change(
    *,
    tags: Sequence[str] | None,
    rejected_tags: Sequence[str] | None,
    claims: Sequence[Mapping[str, Any]] | None,
    **values: Any,
) -> dict[str, Any]:
    """The body of a change, of what is given."""
    return given(
        tags=_list(tags),
        rejected_tags=_list(rejected_tags),
        claims=None if claims is None else [dict(each) for each in claims],
        **values,
    )


def _list(values: Sequence[str] | None) -> Any:
    return None if values is None else [*values]
