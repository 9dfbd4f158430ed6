"""What people say about pictures: changes, their history, and undoing them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ocelli.domain.analysis import Status
from ocelli.domain.edits import (
    Authorship,
    Changes,
    ClaimReview,
    ClaimVerdict,
    Edit,
    EditField,
    Review,
    ReviewStatus,
    annotated,
    claim_key,
)
from ocelli.domain.effective import Source, effective
from ocelli.domain.errors import Conflict, ValidationFailed
from ocelli.domain.review import assess
from ocelli.domain.vocabulary import MAX_PATH, SEPARATOR
from ocelli.usecases.lookup import existing
from ocelli.usecases.upload import UploadRequest, check_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from ocelli.domain.analysis import Analysis
    from ocelli.domain.edits import ClaimChange
    from ocelli.domain.images import Image
    from ocelli.domain.paging import PageRequest
    from ocelli.storage.postgres.database import PostgresDatabase, PostgresTransaction

MAX_TEXT = 10_000  # characters of a description, an alternative text, or a claim
MAX_CLAIMS = 500  # verdicts on claims of one picture
MAX_TOLD = 50  # changes that a conflict tells


class EditConflict(Conflict):
    """The picture has been changed since the caller read it; ``changes`` in the details say how."""

    def __init__(self, message: str, image: Image, changes: Sequence[Edit]) -> None:
        told = [
            {
                "field": each.field,
                "claim": each.claim,
                "value": each.value,
                "previous": each.previous,
                "author": each.author,
                "created_at": each.created_at.isoformat(),
                "revision": each.revision,
            }
            for each in changes
        ]
        super().__init__(message, details={"revision": image.revision, "changes": told})


@dataclass(frozen=True, slots=True)
class EditPage:
    """A page of a picture's history, newest first."""

    edits: Sequence[Edit]
    has_more: bool


class Edits:
    """Use cases around what people say about one picture."""

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database

    async def update(
        self,
        tenant_id: UUID,
        id: str,
        changes: Changes,
        *,
        author: str,
        revision: int | None = None,
        analysis_id: UUID | None = None,
    ) -> Image:
        """Make changes of a picture, all or none; ``id`` may be the first 8 characters.

        Raises NotFound; ValidationFailed for values out of bounds, and if nothing is given;
        EditConflict if ``revision`` is not the present one, or the newest description not that of
        ``analysis_id``.
        """
        check(changes)
        async with self._database.transaction() as tx:
            image = await self._locked(tx, tenant_id, id)
            if revision is not None and revision != image.revision:
                raise EditConflict(
                    f"The picture is at revision {image.revision}, not {revision}: read it again.",
                    image,
                    await tx.edits.since(image.id, revision, limit=MAX_TOLD),
                )
            if analysis_id is not None and analysis_id not in _newest(image):
                raise EditConflict("The picture has been described again.", image, ())
            history = await tx.analyses.of_image(tenant_id, image.id) if changes.claims else ()
            new = _Draft(image, author).edits(changes, history)
            if changes.review not in (None, ReviewStatus.PENDING):
                await tx.reviews.remove(image.id)  # also if the decision is the one before
            return await _save(tx, image, new)

    async def undo(self, tenant_id: UUID, id: str, edit_id: UUID, *, author: str) -> Image:
        """Set the field of an edit back to what it was before.

        Raises NotFound; EditConflict if the field was changed since.
        """
        async with self._database.transaction() as tx:
            image = await self._locked(tx, tenant_id, id)
            edit = existing(await tx.edits.get(image.id, edit_id), "Edit", edit_id)
            draft = _Draft(image, author)
            if draft.current(edit.field, edit.claim) != edit.value:
                later = await tx.edits.since(image.id, edit.revision, limit=MAX_TOLD)
                raise EditConflict(
                    "This was changed again since: undo the later changes first.",
                    image,
                    [
                        each
                        for each in later
                        if (each.field, each.claim) == (edit.field, edit.claim)
                    ],
                )
            draft.set(edit.field, edit.previous, claim=edit.claim, undoes=edit.id)
            return await _save(tx, image, draft.made)

    async def history(self, tenant_id: UUID, id: str, page: PageRequest) -> EditPage:
        """Return a page of the edits of a picture, newest first. Raises NotFound."""
        async with self._database.autocommit() as tx:
            image = existing(await tx.images.get(tenant_id, id), "File", id)
            edits, more = page.cut(await tx.edits.page(image.id, page))
        return EditPage(edits, more)

    async def _locked(self, tx: PostgresTransaction, tenant_id: UUID, id: str) -> Image:
        """Return the picture, which other transactions change only after this one ends."""
        found = existing(await tx.images.get(tenant_id, id), "File", id)
        return existing(await tx.images.lock(tenant_id, found.id), "File", id)


class _Draft:
    """Collects the edits of one request."""

    def __init__(self, image: Image, author: str) -> None:
        self.made: list[Edit] = []
        self._image = image
        self._by = Authorship(author, datetime.now(UTC), image.revision + 1)

    def edits(self, changes: Changes, history: Sequence[Analysis]) -> list[Edit]:
        """Return the edits that the changes are; what is so already is none."""
        for field, value in (
            (EditField.TITLE, changes.title),
            (EditField.DESCRIPTION, changes.description),
            (EditField.ALT_TEXT, changes.alt_text),
        ):
            if value is not None:
                self.set(field, value if value.strip() else None)
        for field, values in (
            (EditField.TAGS, changes.tags),
            (EditField.REJECTED_TAGS, changes.rejected_tags),
        ):
            if values is not None:
                self.set(field, [tag for tag in values if tag.strip()] or None)
        made = {
            claim_key(each.claim.text): each.claim.text
            for analysis in history
            for each in analysis.claims
        }
        for change in changes.claims:
            self._judge(change, made)
        if changes.review is not None:
            self._review(changes.review)
        return self.made

    def current(self, field: EditField, claim: str | None) -> Any:
        """Return the value of a field as edits hold it."""
        said = self._image.annotations
        match field:
            case EditField.TITLE:
                return self._image.title
            case EditField.TAGS:
                return list(self._image.tags) or None
            case EditField.DESCRIPTION:
                return said.description
            case EditField.ALT_TEXT:
                return said.alt_text
            case EditField.REJECTED_TAGS:
                return list(said.rejected_tags) or None
            case EditField.CLAIM:
                known = said.claims.get(claim_key(claim or ""))
                return known and known.value
            case EditField.REVIEW:
                return said.review and said.review.value

    def set(
        self, field: EditField, value: Any, *, claim: str | None = None, undoes: UUID | None = None
    ) -> None:
        """Add an edit, unless the field has this value."""
        previous = self.current(field, claim)
        if value == previous:
            return
        self.made.append(
            Edit(
                id=uuid.uuid4(),
                image_id=self._image.id,
                revision=self._by.revision,
                position=len(self.made) + 1,
                field=field,
                claim=claim,
                value=value,
                previous=previous,
                author=self._by.author,
                created_at=self._by.created_at,
                undoes=undoes,
            )
        )

    def _judge(self, change: ClaimChange, made: dict[str, str]) -> None:
        key = claim_key(change.claim)
        known = self._image.annotations.claims.get(key)
        if known is None and change.verdict is not ClaimVerdict.ADDED and key not in made:
            raise ValidationFailed(
                "No description of this picture makes this claim: a claim of your own is `added`.",
                field="claims",
            )
        claim = known.claim if known else made.get(key, change.claim)
        review = change.verdict and ClaimReview(claim, change.verdict, change.text, self._by)
        self.set(EditField.CLAIM, review and review.value, claim=claim)

    def _review(self, status: ReviewStatus) -> None:
        """Decide about the newest description, as it is shown with the other changes."""
        described = self._image.described
        id = described.id if described else None
        if status is ReviewStatus.PENDING:
            self.set(EditField.REVIEW, None)
        elif status is ReviewStatus.APPROVED:
            self.set(EditField.REVIEW, self._approval(id).value)
        elif described is not None and described.description:
            self.set(EditField.REVIEW, Review(status, id, None, (), self._by).value)
        else:
            raise ValidationFailed("There is no description to reject.", field="review")

    def _approval(self, analysis_id: UUID | None) -> Review:
        """Return the approval of the machine's newest words; of those before, if it has none."""
        image = changed(self._image, self.made)
        before = image.annotations.review
        undecided = replace(image, annotations=replace(image.annotations, review=None))
        shown = effective(undecided)
        approved = ReviewStatus.APPROVED
        if shown.description:
            own = shown.description_source is Source.PERSON
            tags = () if shown.tags_source is Source.PERSON else shown.tags
            return Review(approved, analysis_id, None if own else shown.description, tags, self._by)
        if before is not None and before.status is approved:
            return replace(before, analysis_id=analysis_id, by=self._by)
        raise ValidationFailed("There is no description to approve.", field="review")


def changed(image: Image, edits: Sequence[Edit]) -> Image:
    """Return a picture as it is after edits."""
    for each in edits:
        if each.field is EditField.TITLE:
            image = replace(image, title=each.value)
        if each.field is EditField.TAGS:
            image = replace(image, tags=tuple(each.value or ()))
        said = annotated(image.annotations, each.field, each.claim, each.value, each.by)
        image = replace(image, annotations=said, revision=each.revision)
    return image


def _newest(image: Image) -> set[UUID]:
    """Return the ids of the newest description and of the newest attempt."""
    return {each.id for each in (image.described, image.analysis) if each is not None}


def check(changes: Changes) -> None:
    """Raise ValidationFailed if nothing is changed, or a value is out of bounds."""
    if changes == Changes():
        raise ValidationFailed("Say what to change.", field="title")
    words = tuple(tag for tag in changes.tags or () if SEPARATOR not in tag)
    check_labels(UploadRequest(None, title=changes.title, tags=words))
    for tags in (changes.tags, changes.rejected_tags):  # terms are taken over as paths
        labels = UploadRequest(None, title=None, tags=tuple(tags or ()))
        check_labels(labels, longest_tag=MAX_PATH)
    for field, text in (("description", changes.description), ("alt_text", changes.alt_text)):
        _check_text(field, text or "")
    if len(changes.claims) > MAX_CLAIMS:
        raise ValidationFailed(f"More than {MAX_CLAIMS} claims.", field="claims")
    keys = [claim_key(each.claim) for each in changes.claims]
    if "" in keys or len(set(keys)) < len(keys):
        raise ValidationFailed("A claim is empty, or there twice.", field="claims")
    for each in changes.claims:
        _check_text("claims", each.claim)
        _check_text("claims", each.text or "")
        if (each.verdict is ClaimVerdict.CORRECTED) != bool(each.text and each.text.strip()):
            raise ValidationFailed(
                "A corrected claim, and no other, has a `text`: what it should say.", field="claims"
            )


def _check_text(field: str, text: str) -> None:
    if len(text) > MAX_TEXT:
        raise ValidationFailed(f"`{field}` has more than {MAX_TEXT:,} characters.", field=field)
    if "\0" in text:
        raise ValidationFailed(f"`{field}` holds a NUL character.", field=field)


async def _save(tx: PostgresTransaction, image: Image, new: Sequence[Edit]) -> Image:
    """Store edits with all that follows from them, and return the picture as it is then."""
    if not new:
        return image
    after = changed(image, new)
    said = after.annotations
    if len(said.claims) > MAX_CLAIMS:
        raise ValidationFailed(f"More than {MAX_CLAIMS} claims of one picture.", field="claims")
    await tx.edits.add(image.tenant_id, new)
    await tx.images.change(image.id, title=after.title, tags=after.tags, revision=after.revision)
    fields = {each.field for each in new}
    if EditField.TAGS in fields:
        await tx.edits.remember_tags(image.tenant_id, after.tags)
    if EditField.REVIEW in fields:
        analysis = image.analysis
        if analysis is not None and not analysis.status.is_final:
            analysis = image.described
        if said.review is not None:
            await tx.reviews.remove(image.id)
            await tx.edits.remember_tags(image.tenant_id, said.review.tags)
        elif analysis is not None and analysis.status in (Status.COMPLETED, Status.FAILED):
            await tx.reviews.put(analysis, assess(analysis))
    return existing(await tx.images.get(image.tenant_id, str(image.id)), "File", image.id)
