"""A redescription whose answer was lost in a crash is asked for again, and done once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.integration.test_storage import a_tenant, an_analysis, an_image

from ocelli.domain.accounts import Tenant, Tier
from ocelli.domain.analysis import VerificationLevel
from ocelli.domain.errors import ValidationFailed
from ocelli.domain.file_query import FileQuery
from ocelli.domain.questions import Question, Role
from ocelli.storage.postgres.database import PostgresDatabase
from ocelli.usecases import redescribe
from ocelli.usecases.quota import Quota
from ocelli.usecases.redescribe import Redescribe

EVERYTHING = FileQuery()
QUICK = VerificationLevel.QUICK


async def a_library(database: PostgresDatabase, count: int) -> Tenant:
    """A tenant with pictures, each described once."""
    id = await a_tenant(database)
    async with database.transaction() as tx:
        for _ in range(count):
            image = an_image(id)
            analysis = an_analysis(image)
            await tx.images.add(image, analyses=[analysis])
            await tx.analyses.complete(replace(analysis, description="A cat."))
    return Tenant(id, str(id), Tier.ENTERPRISE, datetime.now(UTC))


async def test_a_repeated_request_finds_its_batch_also_when_all_is_done(
    database: PostgresDatabase,
) -> None:
    tenant = await a_library(database, 3)
    use = Redescribe(database, Quota(database))
    first = await use.matching(tenant, EVERYTHING, Question(), QUICK, request_key="one")
    again = await use.matching(tenant, EVERYTHING, Question(), QUICK, request_key="one")
    assert first.state.batch.id == again.state.batch.id
    async with database.transaction() as tx:
        items = await tx.analyses.of_request(tenant.id, first.state.batch.id)
        for each in items:
            await tx.analyses.complete(replace(each, description="A dog."))
    late = await use.matching(tenant, EVERYTHING, Question(), QUICK, request_key="one")
    assert (late.state.batch.id, late.state.finished) == (first.state.batch.id, 3)
    async with database.transaction() as tx:
        assert (await tx.usage.month(tenant.id)).descriptions == 3


async def test_what_waits_for_the_same_is_not_asked_twice(database: PostgresDatabase) -> None:
    tenant = await a_library(database, 2)
    use = Redescribe(database, Quota(database))
    for question in (Question(), Question(role=Role.ALTTEXT, backends=("a", "b"))):
        first = await use.matching(tenant, EVERYTHING, question, QUICK)
        second = await use.matching(tenant, EVERYTHING, question, QUICK)
        assert (first.state.batch.total, first.already_queued) == (2, 0)
        assert (second.state.batch.total, second.already_queued) == (0, 2)
    other = await use.matching(tenant, EVERYTHING, Question(), VerificationLevel.CRITICAL)
    assert other.state.batch.total == 2


async def test_more_than_may_be_at_once_begins_nothing(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await a_library(database, 3)
    use = Redescribe(database, Quota(database))
    monkeypatch.setattr(redescribe, "MAX_PICTURES", 2)
    with pytest.raises(ValidationFailed, match="3 pictures match, more than the 2 of one request"):
        await use.matching(tenant, EVERYTHING, Question(), QUICK)
    monkeypatch.setattr(redescribe, "MAX_PICTURES", 3)
    monkeypatch.setattr(redescribe, "AT_ONCE", 2)  # statements
    assert (await use.matching(tenant, EVERYTHING, Question(), QUICK)).state.batch.total == 3
