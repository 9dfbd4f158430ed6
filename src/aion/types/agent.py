"""Agents of one's own: the protocol that they follow, and what they answer."""

from typing import Any, Protocol, runtime_checkable

from aion.types._model import Model, record
from aion.types.context import ExecutionContext
from aion.types.contracts import AgentContract


@record
class AgentResult(Model):
    """What an agent found, by the names of its outputs; the time in milliseconds."""

    success: bool
    agent_name: str
    capability: str
    outputs: dict[str, Any] | None = None
    error: str | None = None
    summary: str | None = None
    execution_time_ms: float = 0
    metadata: dict[str, Any] | None = None

    def get_output(self, slot_name: str, default: Any = None) -> Any:
        """Return an output, or ``default``."""
        return (self.outputs or {}).get(slot_name, default)

    def has_output(self, slot_name: str) -> bool:
        """Return whether there is an output of this name."""
        return slot_name in (self.outputs or {})


@runtime_checkable
class Agent(Protocol):
    """Does one task. To be implemented by programs."""

    def get_contract(self) -> AgentContract:
        """Return what the agent needs and gives."""

    async def execute(self, context: ExecutionContext) -> AgentResult:
        """Do the task, with what ``context`` holds."""
