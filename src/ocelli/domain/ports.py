"""What the use cases need from the world. The composition root decides who provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import date, datetime
    from uuid import UUID

    from ocelli.domain.analysis import Analysis, Answer, Failure, Level
    from ocelli.domain.batches import Batch, Progress
    from ocelli.domain.images import Image, Variant, VariantStatus
    from ocelli.domain.library import FileQuery
    from ocelli.domain.ports_access import Accounts, IdempotencyKeys, Rates
    from ocelli.domain.ports_fetch import Credits, Requests
    from ocelli.domain.ports_library import Colors, Exports, History
    from ocelli.domain.ports_storage import S3Configs
    from ocelli.domain.sessions import (
        Ended,
        Item,
        ItemCounts,
        ItemState,
        Session,
        SessionStatus,
        UploadMethod,
    )
    from ocelli.domain.usage import Charge, Delivered, Limit, MonthlyUse


class Images(Protocol):
    """The pictures of all tenants; every question names the tenant."""

    async def add(
        self,
        *images: Image,
        variants: Sequence[Image] = (),
        analyses: Sequence[Analysis] = (),
        charge: Charge | None = None,
    ) -> Limit | None:
        """New ones, that nobody has looked at; their files must be in the store already.

        With the jobs that make ``variants`` of those, with ``analyses`` and their jobs, behind the
        tenant's own backlog, and with what they cost; or the limit that does not let it, and then
        nothing. One statement: by itself all or nothing.
        """
        ...

    async def get(self, tenant_id: UUID, id_or_prefix: str) -> Image | None: ...
    async def by_hashes(self, tenant_id: UUID, hashes: Sequence[str]) -> dict[str, UUID]:
        """From those hashes that the tenant has to the oldest picture of each."""
        ...

    async def stuck(self, tenant_id: UUID, *, minutes: int, limit: int) -> Sequence[Image]:
        """Whose analysis has been unfinished for so long, oldest first."""
        ...

    async def by_key(self, tenant_id: UUID, object_key: str) -> Image | None: ...
    async def by_ids(self, ids: list[UUID]) -> Sequence[Image]:
        """Those that exist and are not deleted, of any tenant, in no order."""
        ...

    async def by_hash(self, tenant_id: UUID, sha256: str) -> Image | None: ...
    async def page(
        self, tenant_id: UUID, query: FileQuery, *, limit: int, offset: int
    ) -> tuple[Sequence[Image], int]:
        """One page, and how many there are in all."""
        ...

    async def update(
        self, tenant_id: UUID, id: UUID, *, title: str | None, tags: Sequence[str] | None
    ) -> datetime | None:
        """What a person says; None leaves as it is, an empty title removes it. When, or None."""
        ...

    async def delete(self, tenant_id: UUID, id: UUID) -> datetime | None: ...
    async def lock_content(self, tenant_id: UUID, sha256: str) -> None:
        """Hold everybody else who stores the same bytes until this transaction ends."""
        ...

    async def find(self, id: UUID) -> Image | None:
        """For workers, which act for every tenant."""
        ...

    async def unknown(self, keys: Sequence[str]) -> Sequence[str]:
        """Those object keys of our tenants that no row speaks of.

        Keys read ``kind/tenant/...``; of what is not so, and may be somebody else's, none.
        """
        ...

    async def deleted(self, *, older_than: float, limit: int, skip: int = 0) -> Sequence[Image]:
        """Pictures of all tenants that were deleted more than so many seconds ago, without the
        ``skip`` longest deleted."""
        ...

    async def forget(self, id: UUID) -> None:
        """Remove the row and all that belongs to it; its objects must be gone already."""
        ...

    async def set_variants(
        self,
        id: UUID,
        status: VariantStatus,
        variants: Sequence[Variant] = (),
        *,
        blur_hash: str | None = None,
        error: str | None = None,
    ) -> None: ...


class Analyses(Protocol):
    """What was asked about pictures, and the answers."""

    async def add(self, *analyses: Analysis) -> None: ...
    async def get(self, tenant_id: UUID, id: UUID) -> Analysis | None: ...
    async def of_request(self, tenant_id: UUID, request_id: UUID) -> Sequence[Analysis]:
        """In their order."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those of no image that ended so many seconds ago, of one request all or none;
        their objects become orphans."""
        ...

    async def start(self, id: UUID) -> Analysis | None:
        """Mark as processing; None if it is unknown or already final."""
        ...

    async def skip(self, id: UUID) -> bool:
        """Final without an answer: others stand in its place. False if it was final already."""
        ...

    async def complete(self, analysis: Analysis) -> bool:
        """Store the answer; False if another run was first."""
        ...

    async def fail(self, id: UUID, failure: Failure, *, skipped: bool = False) -> bool:
        """Final; ``skipped`` if it was never begun. False if it was final already."""
        ...

    async def requeue(self, id: UUID) -> None:
        """Back to queued: an attempt failed and another one is coming."""
        ...

    async def of_image(self, tenant_id: UUID, image_id: UUID) -> Sequence[Analysis]: ...
    async def finished(self, tenant_id: UUID, image_ids: Sequence[UUID]) -> Sequence[Analysis]:
        """Those of these pictures' analyses that are final."""
        ...

    async def orphans(self, older_than: float) -> Sequence[Analysis]:
        """Unfinished ones that no job stands for, older than so many seconds."""
        ...


class Answers(Protocol):
    """What a tenant was answered before, by ``engine.answer_key``."""

    async def get(self, tenant_id: UUID, key: bytes) -> Answer | None: ...
    async def put(self, tenant_id: UUID, key: bytes, answer: Answer) -> None:
        """The first one stays."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those given more than so many seconds ago."""
        ...


class Batches(Protocol):
    """Jobs over many pictures; their items are analyses with the job's id as ``request_id``."""

    async def add(self, batch: Batch) -> None: ...
    async def get(self, tenant_id: UUID, id: UUID) -> Batch | None: ...
    async def progress(self, id: UUID) -> Progress: ...
    async def results(
        self, id: UUID, *, include_failed: bool, limit: int, offset: int
    ) -> Sequence[Analysis]:
        """Items in their order, also those that are not final."""
        ...

    async def cancel(self, id: UUID, reason: str) -> int:
        """Skip what is queued; how many that were."""
        ...

    async def find(self, id: UUID) -> Batch | None:
        """For workers, which act for every tenant."""
        ...

    async def ended(self, *, limit: int) -> Sequence[UUID]:
        """Those with a webhook that have ended since the last time; their jobs must follow."""
        ...

    async def purge(self, *, older_than: float) -> int:
        """Forget those whose items are forgotten."""
        ...


class Sessions(Protocol):
    """Files that come together. Counters follow the items within the same transaction."""

    async def add(self, session: Session, items: Sequence[Item]) -> None:
        """The session with its counters as they are, and its items."""
        ...

    async def add_items(self, *items: Item) -> None:
        """As they are; counters are not touched."""
        ...

    async def extend(self, session: Session, items: Sequence[Item]) -> bool:
        """Add ``items`` and the counters of ``session`` to the one that has its id.

        False if the tenant has none of that id, or it was cancelled or has expired. The items'
        positions go on from those that are there.
        """
        ...

    async def get(self, tenant_id: UUID, id: UUID) -> Session | None: ...
    async def overview(
        self, tenant_id: UUID, id: UUID, *, recent: int, excerpt: int
    ) -> tuple[Session, Sequence[Ended], Sequence[Ended]] | None:
        """The session, and so many of the newest files that ended well, and that failed.

        All as of one moment; of descriptions so many characters.
        """
        ...

    async def page(
        self,
        tenant_id: UUID,
        *,
        status: SessionStatus | None,
        method: UploadMethod | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]:
        """Newest first, and how many there are in all."""
        ...

    async def results(
        self, session_id: UUID, *, include_failed: bool, limit: int, offset: int
    ) -> tuple[Sequence[Item], int]:
        """Items in a final state with their pictures, in the order of the request."""
        ...

    async def recent(self, session_id: UUID, *, failed: bool, limit: int) -> Sequence[Item]:
        """The newest items that ended well (or not), with their pictures."""
        ...

    async def counts(self, session_id: UUID) -> ItemCounts: ...
    async def items(self, tenant_id: UUID, session_id: UUID) -> Sequence[Item]:
        """All, in the order of the request."""
        ...

    async def item_by_key(self, tenant_id: UUID, object_key: str) -> Item | None: ...
    async def item_by_idempotency_key(self, tenant_id: UUID, key: str) -> Item | None: ...
    async def take(self, id: UUID) -> bool:
        """From uploading to confirming; False if somebody else has it.

        One that has been confirming for minutes belonged to a process that died.
        """
        ...

    async def give_back(self, id: UUID) -> None:
        """From confirming to uploading: the confirmation could not be carried through."""
        ...

    async def move(
        self,
        id: UUID,
        to: ItemState,
        *,
        image_id: UUID | None = None,
        error: str | None = None,
        retryable: bool | None = None,
    ) -> bool:
        """Change an item that is not final, and its session's counters; False if it is final."""
        ...

    async def cancel(self, session: Session) -> int:
        """End what has not begun; the number of analyses that will not be made."""
        ...

    async def expire(self, limit: int) -> int:
        """Fail reservations that nobody used in time; how many."""
        ...


class Usage(Protocol):
    """Meters, exact under concurrency."""

    async def month(self, tenant_id: UUID) -> MonthlyUse: ...
    async def reserve(self, charge: Charge) -> Limit | None:
        """Count it; or say which of the limits does not let it, and count nothing."""
        ...

    async def give_back(self, tenant_id: UUID, *, descriptions: int, credits: int) -> None: ...
    async def free(self, tenant_id: UUID, size_bytes: int) -> None:
        """These are stored no more."""
        ...

    async def delivered(
        self,
        tenant_id: UUID,
        *,
        operation: str,
        level: Level,
        succeeded: int,
        failed: int,
        credits: int,
        milliseconds: float,
    ) -> None: ...
    async def days(self, tenant_id: UUID, start: date, end: date) -> Sequence[Delivered]:
        """Both days included."""
        ...


class Jobs(Protocol):
    """The queue, inside the same transaction as the rows that a job is about."""

    async def analyse(
        self, *analyses: Analysis, urgent: bool = False, places: Sequence[int] = ()
    ) -> None:
        """All of one tenant, behind its own backlog; ``urgent`` before everything.

        With ``places`` each has its own: the lower, the sooner.
        """
        ...

    async def make_variants(self, image: Image) -> None: ...
    async def extract_colors(self, image_id: UUID) -> None: ...
    async def export(self, export_id: UUID) -> None: ...
    async def call_webhook(self, batch_id: UUID) -> None: ...


class Transaction(Protocol):
    """Everything that can be done before one commit."""

    @property
    def images(self) -> Images: ...
    @property
    def analyses(self) -> Analyses: ...
    @property
    def answers(self) -> Answers: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def usage(self) -> Usage: ...
    @property
    def s3_configs(self) -> S3Configs: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def colors(self) -> Colors: ...
    @property
    def history(self) -> History: ...
    @property
    def exports(self) -> Exports: ...
    @property
    def rates(self) -> Rates: ...
    @property
    def idempotency(self) -> IdempotencyKeys: ...
    @property
    def requests(self) -> Requests: ...
    @property
    def credits(self) -> Credits: ...
    @property
    def jobs(self) -> Jobs: ...


class Database(Protocol):
    """Postgres, seen from the use cases."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits when its block ends, rolls back if it raises; Unavailable if there is none."""
        ...

    def bookkeeping(self) -> AbstractAsyncContextManager[Transaction]:
        """The same for what nobody polls, like counted requests: answers kept for polls stay."""
        ...

    def single(self) -> AbstractAsyncContextManager[Transaction]:
        """For one statement, which is a transaction by itself. Spares two round trips."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """For questions alone: each sees what is newest. Spares two round trips."""
        ...
