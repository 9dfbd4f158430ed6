"""What agents of one's own leave for the ones after them."""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Self

from aion.types._model import Model, record


def _now() -> datetime:
    return datetime.now(UTC)


@record
class TypedSlot(Model):
    """A value, its type, and which step wrote it when."""

    value: Any
    data_type: str
    source_node: str
    timestamp: datetime = field(default_factory=_now)


class ExecutionContext:
    """Named values that steps write and later steps read.

    >>> context = ExecutionContext()
    >>> context.write("found", ["a"], "image_ids", "search")
    >>> context.read("found"), context.get_slot_type("found")
    (['a'], 'image_ids')
    """

    def __init__(self) -> None:
        self._slots: dict[str, TypedSlot] = {}

    @property
    def slots(self) -> dict[str, TypedSlot]:
        """A copy of all slots."""
        return dict(self._slots)

    def write(self, slot_name: str, value: Any, data_type: str, source_node: str) -> None:
        """Store a value, in the place of an older one."""
        self._slots[slot_name] = TypedSlot(value, data_type, source_node)

    def read(self, slot_name: str, expected_type: str | None = None) -> Any:
        """Return a value.

        Raises:
            KeyError: nothing of this name was written.
            TypeError: it is not of the expected type.
        """
        slot = self._slots[slot_name]
        if expected_type is not None and slot.data_type != expected_type:
            raise TypeError(f"{slot_name} is {slot.data_type}, not {expected_type}")
        return slot.value

    def has_slot(self, slot_name: str) -> bool:
        """Return whether something of this name was written."""
        return slot_name in self._slots

    async def write_async(
        self, slot_name: str, value: Any, data_type: str, source_node: str
    ) -> None:
        """Like :meth:`write`, for agents that await."""
        self.write(slot_name, value, data_type, source_node)

    async def read_async(self, slot_name: str, expected_type: str | None = None) -> Any:
        """Like :meth:`read`, for agents that await."""
        return self.read(slot_name, expected_type)

    async def has_slot_async(self, slot_name: str) -> bool:
        """Like :meth:`has_slot`, for agents that await."""
        return self.has_slot(slot_name)

    def get_slot_type(self, slot_name: str) -> str | None:
        """Return the type of a value, or None."""
        slot = self._slots.get(slot_name)
        return slot.data_type if slot else None

    def get_slots_by_type(self, data_type: str) -> dict[str, TypedSlot]:
        """Return the slots whose values are of this type."""
        return {name: slot for name, slot in self._slots.items() if slot.data_type == data_type}

    def list_slots(self) -> list[str]:
        """Return the names of all slots."""
        return list(self._slots)

    def to_dict(self) -> dict[str, Any]:
        """The slots by name; values as they are."""
        return {
            name: {
                "value": slot.value,
                "data_type": slot.data_type,
                "source_node": slot.source_node,
                "timestamp": slot.timestamp.isoformat(),
            }
            for name, slot in self._slots.items()
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the context from what :meth:`to_dict` gave."""
        context = cls()
        for name, slot in data.items():
            context._slots[name] = TypedSlot.from_api_response(slot)
        return context
