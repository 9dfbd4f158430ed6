"""Whether an answer has the form that is read: a server may be another, older, or broken. Pure."""

from typing import Any

from aion.exceptions import ServerError


def object_of(answer: object, *required: str) -> dict[str, Any]:
    """Return an answer that is an object with these fields, none of them empty.

    >>> object_of({"image_id": "1"}, "image_id")
    {'image_id': '1'}

    Raises:
        ServerError: it is something else; ``code`` is ``INVALID_RESPONSE``.
    """
    if not isinstance(answer, dict):
        raise _unexpected(f"a JSON object was expected, not {type(answer).__name__}")
    for name in required:
        if not answer.get(name):
            raise _unexpected(f"it has no {name!r}")
    return answer


def list_of(answer: object, name: str | None = None) -> list[Any]:
    """Return an answer that is a list; with ``name`` the list that an object has there.

    Raises:
        ServerError: it is something else; ``code`` is ``INVALID_RESPONSE``.
    """
    found = answer if name is None else object_of(answer).get(name)
    if not isinstance(found, list):
        raise _unexpected(f"a JSON array was expected, not {type(found).__name__}")
    return found


def _unexpected(why: str) -> ServerError:
    return ServerError(f"The server's answer cannot be read: {why}", code="INVALID_RESPONSE")
