"""The vision-language model that runs on this machine, as the settings name it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ocelli.backends.config import FILES
from ocelli.backends.models.catalogue import (
    DEFAULT_CONTEXT,
    GGUF_ROLES,
    OLLAMA,
    FileRole,
    Model,
    ModelError,
    ModelRunner,
    UnknownModel,
    catalogue,
    hub_name,
    model_named,
)
from ocelli.backends.models.llama_server import NOT_INSTALLED, LlamaLaunch
from ocelli.backends.models.machine import Machine, this_machine
from ocelli.backends.models.ollama import OllamaModel, ollama_model
from ocelli.backends.models.store import Store, Stored
from ocelli.backends.models.vllm_server import HOW_TO_INSTALL, VllmLaunch, vllm_program
from ocelli.settings_tables import BackendSetting

if TYPE_CHECKING:
    from ocelli.backends.models.host import ModelHost
    from ocelli.settings import Settings

CORES_FOR_TWO = 8  # conversations at a time, without a graphics card
SLOTS_ON_GPU = 4
VLLM_SLOTS = 16  # it batches, and lets those wait for which it has no memory
MIN_CONTEXT = 4096
# A processor alone takes minutes for a look, and others may wait before it.
DEADLINE = 600.0
ANALYSIS_TIMEOUT = 1800.0
MAX_TOKENS = 1500
TEMPERATURE = 0.2  # what is wanted are facts


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """What ``model`` of the settings means."""

    model: Model
    source: Stored | OllamaModel

    @property
    def name(self) -> str:
        """Its name as a backend."""
        return self.model.name


def chosen_model(settings: Settings) -> ChosenModel:
    """Find the model of the settings on this disk, and check that it can run.

    Raises UnknownModel, and ModelError if it is not here, not what was pulled, or cannot run.
    """
    assert settings.model is not None
    if settings.runner is ModelRunner.VLLM:
        return _chosen_for_vllm(settings.model, Store(settings.models_folder))
    if settings.model.startswith(OLLAMA):
        found = ollama_model(settings.model)
        chosen = ChosenModel(found.model, found)
    else:
        store = Store(settings.models_folder)
        stored = _stored(store, settings.model, settings.runner)
        store.check(stored)
        chosen = ChosenModel(stored.model, stored)
    for role in GGUF_ROLES:
        chosen.source.path(role)
    if find_spec("xllamacpp") is None:
        message, _, command = NOT_INSTALLED.partition(": ")
        raise ModelError(f"{message}.", command)
    return chosen


def _chosen_for_vllm(text: str, store: Store) -> ChosenModel:
    if text.startswith(OLLAMA):
        raise ModelError(f"vLLM does not run {text}.", "leave out --runner vllm: llama.cpp does")
    stored = _stored(store, text, ModelRunner.VLLM)
    store.check(stored)
    if vllm_program() is None:
        raise ModelError("vLLM is not installed.", HOW_TO_INSTALL)
    if not this_machine().gpus:
        raise ModelError(
            "vLLM needs a graphics card, and none was found.",
            "leave out --runner vllm: llama.cpp runs models on the processor too",
        )
    return ChosenModel(stored.model, stored)


def _stored(store: Store, text: str, runner: ModelRunner) -> Stored:
    named = hub_name(text, runner)
    name = named.name if named else text
    if stored := store.get(name):
        return stored
    if named is None:
        try:
            name = model_named(text, runner).name
        except UnknownModel as error:
            here = [each.model.name for each in store.all()]
            names = dict.fromkeys([*here, *catalogue(runner)])
            told = f"there is no model {text!r} for {runner}."
            raise UnknownModel(told, ", ".join(names)) from error
    raise ModelError(f"{text} is not on this machine.", f"ocelli models pull {text}{runner.option}")


def launch_of(
    chosen: ChosenModel, settings: Settings, machine: Machine, key: str
) -> LlamaLaunch | VllmLaunch:
    """Choose how the model runs here, as far as the settings leave it open."""
    if chosen.model.runner is ModelRunner.VLLM:
        return _vllm_launch(chosen, settings, key)
    return _llama_launch(chosen, settings, machine, key)


def _vllm_launch(chosen: ChosenModel, settings: Settings, key: str) -> VllmLaunch:
    program = vllm_program()
    assert program is not None  # chosen_model looked
    assert isinstance(chosen.source, Stored)
    return VllmLaunch(
        name=chosen.name,
        program=program,
        folder=str(chosen.source.folder),
        key=key,
        slots=settings.model_slots or VLLM_SLOTS,
        context=settings.model_context or min(DEFAULT_CONTEXT, chosen.model.context),
        gpu_share=settings.model_gpu_share,
        thinks=chosen.model.thinks,
    )


def _llama_launch(
    chosen: ChosenModel, settings: Settings, machine: Machine, key: str
) -> LlamaLaunch:
    """Without a graphics card that holds it, one conversation at a time, or two on many cores; as
    long as they fit the memory.
    """
    model = chosen.model
    on_gpu = machine.fits_gpu(model)
    slots = SLOTS_ON_GPU if on_gpu else 2 if machine.cores >= CORES_FOR_TWO else 1
    room = machine.gpu_memory if on_gpu else machine.memory
    context = min(DEFAULT_CONTEXT, model.context)
    while slots > 1 and model.memory(slots=slots, context=context) > room:
        slots -= 1
    if model.memory(slots=slots, context=context) > room:
        context = min(context, MIN_CONTEXT)
    return LlamaLaunch(
        name=model.name,
        model=str(chosen.source.path(FileRole.MODEL)),
        projector=str(chosen.source.path(FileRole.PROJECTOR)),
        key=key,
        slots=settings.model_slots or slots,
        threads=settings.model_threads or machine.cores,
        context=settings.model_context or context,
        gpu_layers=settings.model_gpu_layers,
        thinks=model.thinks,
    )


def with_model(settings: Settings, chosen: ChosenModel, port: int) -> Settings:
    """Return the settings with the model as the first of the backends, at ``port``.

    What ``[backends.NAME]`` says of it counts.
    """
    launch = launch_of(chosen, settings, this_machine(), key=secrets.token_urlsafe(32))
    given = settings.backends.get(chosen.name)
    values = {
        "timeout": DEADLINE,
        "deadline": DEADLINE,
        "concurrency": max(2, launch.slots),
        "max_tokens": MAX_TOKENS,
        "temperature": TEMPERATURE,
        "max_side": chosen.model.max_side,
        "full_side": chosen.model.full_side,
        **(given.model_dump(exclude_unset=True) if given else {}),
        "provider": str(settings.runner),
        "base_url": f"http://127.0.0.1:{port}/v1",
        "model": chosen.name,
        "key": SecretStr(launch.key),
        "options": {
            FILES: [each.sha256 or each.path for each in chosen.model.files],
            **_version(launch),
        },
    }
    others = {name: each for name, each in settings.backends.items() if name != chosen.name}
    changes: dict[str, object] = {
        "backends": {chosen.name: BackendSetting(**values), **others},
        **{f"model_{name}": value for name, value in launch.options.items()},
    }
    if settings.analyses_at_once is None and not others:
        changes["analyses_at_once"] = max(2, launch.slots)
    if "analysis_timeout" not in settings.model_fields_set:
        changes["analysis_timeout"] = ANALYSIS_TIMEOUT
    return settings.model_copy(update=changes)


def _version(launch: LlamaLaunch | VllmLaunch) -> dict[str, str]:
    """What stands for the version of the program that runs the model.

    vLLM may be in another environment, and takes seconds to say its version: the time at which
    its program was installed changes with it.
    """
    if isinstance(launch, VllmLaunch):
        return {"vllm": str(int(Path(launch.program).stat().st_mtime))}
    return {"llama.cpp": version("xllamacpp")}


def build_host(settings: Settings) -> ModelHost:
    """Return the host of the model, for settings of ``with_model``. Raises ModelError."""
    from ocelli.backends.models.host import ModelHost

    chosen = chosen_model(settings)
    key = settings.backends[chosen.name].key
    assert key is not None
    launch = launch_of(chosen, settings, this_machine(), key.get_secret_value())
    store = Store(settings.models_folder)
    return ModelHost(launch, lambda values: store.measure(chosen.name, values))


def as_served(settings: Settings) -> Settings:
    """Return the settings as a server has them that runs now: with the model, at no address.

    Unchanged if there is none that can run.
    """
    if settings.model is None:
        return settings
    try:
        return with_model(settings, chosen_model(settings), port=0)
    except ModelError:
        return settings


def advice(settings: Settings) -> str:
    """Say in a line what a vision-language model would add, and which fits this machine."""
    adds = "no vision-language model is set: pictures are named, not told about in sentences"
    if settings.runner is ModelRunner.VLLM:
        return f"{adds}; ocelli models list --runner vllm has those that vLLM runs"
    best = this_machine().best(catalogue().values())
    if best is None:
        return f"{adds}; this machine has too little memory for one"
    size = f"{best.size / 1e9:.1f} GB, {best.licence}"
    if Store(settings.models_folder).get(best.name):
        return f"{adds}; one is here: ocelli serve --model {best.name}"
    return f"{adds}; {best.title} would run here: ocelli models pull {best.name} ({size})"
