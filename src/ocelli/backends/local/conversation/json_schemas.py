"""JSON Schemas that clients send, held to what is safe and checked with jsonschema.

Nothing is ever fetched for a schema, and its regular expressions are never run: one that takes
for ever would stop the whole process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ocelli.domain.chat_errors import InvalidSchema, UnsupportedParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_NODES = 2_000
MAX_DEPTH = 40
MAX_STEPS = 20_000

_REGULAR_EXPRESSIONS = ("pattern", "patternProperties")


def check_schema(schema: Mapping[str, Any], name: str) -> None:
    """Raise InvalidSchema if it is none, or none that we take."""
    from jsonschema import Draft202012Validator, SchemaError

    start = f"Invalid schema for response_format '{name}'"
    for count, (node, depth) in enumerate(_nodes(schema, 0)):
        if count > MAX_NODES or depth > MAX_DEPTH:
            raise InvalidSchema(
                f"{start}: it is larger than {MAX_NODES} nodes or deeper than {MAX_DEPTH}.",
                param="response_format",
            )
        if isinstance(node, dict):
            _check_node(node, start)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        message = error.message[:200]  # it repeats what is wrong, however long that is
        raise InvalidSchema(f"{start}: {message}", param="response_format") from error


def validate(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise UnsupportedParameter if what we have to say does not fit the schema."""
    from jsonschema.exceptions import best_match
    from referencing import Registry

    registry: Registry[Any] = Registry()  # an empty one: nothing is fetched
    error = best_match(_bounded()(schema, registry=registry).iter_errors(value))
    if error is not None:
        raise UnsupportedParameter(
            "'response_format' of type 'json_schema' is not supported with this model for this "
            f"schema: what was found does not fit it at {error.json_path}: {error.message[:200]}",
            param="response_format",
        )


def _bounded() -> Any:
    """A validator that takes so many steps and no more.

    A few lines of schema can refer to themselves exponentially often, or for ever; so can the
    keywords that ask what others have looked at.
    """
    from jsonschema import Draft202012Validator, validators

    left = MAX_STEPS

    def counted(keyword: str) -> Callable[..., Any]:
        follow = Draft202012Validator.VALIDATORS[keyword]

        def validator(*arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise InvalidSchema(
                    "Invalid schema for response_format: it takes too many steps to check.",
                    param="response_format",
                )
            return follow(*arguments)

        return validator

    steps = {keyword: counted(keyword) for keyword in Draft202012Validator.VALIDATORS}
    return validators.extend(Draft202012Validator, steps)


def _check_node(node: Mapping[str, Any], start: str) -> None:
    reference = node.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):
        raise InvalidSchema(
            f"{start}: $ref may only lead into the schema itself.", param="response_format"
        )
    for keyword in _REGULAR_EXPRESSIONS:
        if isinstance(node.get(keyword), str if keyword == "pattern" else dict):
            raise UnsupportedParameter(
                "'response_format' of type 'json_schema' is not supported with this model where "
                f"the schema uses '{keyword}'.",
                param="response_format",
            )


def _nodes(value: Any, depth: int) -> Iterator[tuple[Any, int]]:
    yield value, depth
    if depth > MAX_DEPTH:
        return
    children = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for child in children:
            yield from _nodes(child, depth + 1)
