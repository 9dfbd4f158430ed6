"""What an agent of one's own needs, gives, and is good for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from aion.types._model import Model, record


class AgentCapability(StrEnum):
    """What an agent can do."""

    SEARCH = "search"
    FILTER = "filter"
    ANALYSIS = "analysis"
    COMPARISON = "comparison"
    EXPORT = "export"
    SUMMARIZATION = "summarization"
    RECOMMENDATION = "recommendation"
    VISUALIZATION = "visualization"
    ANALYTICS = "analytics"
    CROSS_REFERENCE = "cross_reference"
    SYNTHESIS = "synthesis"
    ORGANIZATION = "organization"
    CONVERSATIONAL = "conversational"


@record
class TypedInput(Model):
    """Something that an agent needs, and of which type."""

    name: str
    data_type: str
    required: bool = True
    description: str = ""
    content_type_hint: str | None = None


@record
class TypedOutput(Model):
    """Something that an agent gives; ``mergeable`` outputs of several agents can be joined."""

    name: str
    data_type: str
    mergeable: bool = False
    description: str = ""
    content_type_hint: str | None = None


@record
class AgentContract(Model):
    """What an agent promises: inputs, outputs, and with whom it can work."""

    name: str
    capability: AgentCapability
    description: str
    inputs: tuple[TypedInput, ...] = ()
    outputs: tuple[TypedOutput, ...] = ()
    example_intents: tuple[str, ...] = ()
    can_run_parallel: bool = True
    typical_duration_ms: int = 5000
    can_chain_with: tuple[AgentCapability, ...] = ()

    def get_required_inputs(self) -> list[TypedInput]:
        """Return the inputs that must be given."""
        return [it for it in self.inputs if it.required]

    def get_input_by_name(self, name: str) -> TypedInput | None:
        """Return the input of this name, or None."""
        return next((it for it in self.inputs if it.name == name), None)

    def get_output_by_name(self, name: str) -> TypedOutput | None:
        """Return the output of this name, or None."""
        return next((it for it in self.outputs if it.name == name), None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the contract from what :meth:`to_dict` gave."""
        return cls.from_api_response(
            data,
            inputs=tuple(map(TypedInput.from_api_response, data.get("inputs", ()))),
            outputs=tuple(map(TypedOutput.from_api_response, data.get("outputs", ()))),
            example_intents=tuple(data.get("example_intents", ())),
            can_chain_with=tuple(map(AgentCapability, data.get("can_chain_with", ()))),
        )
