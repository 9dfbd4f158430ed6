"""What a key may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocelli.domain.errors import MalformedRequest
from ocelli.domain.scopes import SCOPES, KeyRole, allows, checked, covers

some_scopes = st.lists(st.sampled_from(SCOPES), max_size=5).map(checked)
doors = st.tuples(st.sampled_from(KeyRole), st.none() | st.sampled_from(SCOPES[3:]))


def test_roles_rise() -> None:
    for rank, role in enumerate(KeyRole):
        assert [allows([held], role) for held in KeyRole] == [n >= rank for n in range(3)]


def test_a_door_has_a_second_key() -> None:
    assert allows(["api_keys:write"], KeyRole.ADMIN, "api_keys:write")
    assert not allows(["api_keys:read", "write"], KeyRole.ADMIN, "api_keys:write")
    assert not allows([], KeyRole.READ)


def test_unknown_scopes_are_named() -> None:
    with pytest.raises(MalformedRequest, match="Unknown scope: files:eat"):
        checked(["read", "files:eat"])


@given(some_scopes, some_scopes, doors)
def test_a_covered_key_opens_no_further_door(
    held: tuple[str, ...], wanted: tuple[str, ...], door: tuple[KeyRole, str | None]
) -> None:
    role, scope = door
    if scope and scope.endswith(":read"):
        role = KeyRole.READ  # as in the table of routes
    elif scope:
        role = KeyRole.ADMIN
    if covers(held, wanted) and allows(wanted, role, scope):
        assert allows(held, role, scope)


@given(some_scopes)
def test_every_key_covers_itself_and_admin_covers_all(scopes: tuple[str, ...]) -> None:
    assert covers(scopes, scopes)
    assert covers(("admin",), scopes)
