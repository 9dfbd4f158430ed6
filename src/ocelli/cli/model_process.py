"""The model of a command: its listening socket, its process, and the settings that name both."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocelli.backends.models.catalogue import ModelError, UnknownModel
from ocelli.cli.options import to_environment
from ocelli.cli.output import CANNOT_RUN, WRONG_USE, fail
from ocelli.cli.processes import ChildrenFailed, Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocelli.settings import Settings

NO_DATABASE = "-"  # what children are told, which need none
BACKLOG = 1024  # requests that wait while the host is started again


class NoModel(Exception):
    """The model cannot run; what is wrong is printed. ``code`` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """``settings`` have the model as a backend, if there is one."""

    settings: Settings
    listener: socket.socket | None = None

    def start(self, supervisor: Supervisor, environment: Mapping[str, str] | None = None) -> None:
        """Let the supervisor keep the model's host running, if there is a model."""
        if self.listener is None:
            return
        descriptor = self.listener.fileno()
        supervisor.add(
            "model",
            ["model", str(descriptor)],
            environment or to_environment(self.settings),
            inherited=(descriptor,),
        )


@contextlib.contextmanager
def running_model(settings: Settings) -> Iterator[Settings]:
    """Run the model of the settings for the block, for a command without a server; gives settings
    that have it as a backend. Raises NoModel.
    """
    with model_process(settings) as model, contextlib.ExitStack() as stack:
        if model.listener is not None:
            supervisor = Supervisor()
            stack.callback(supervisor.stop)
            quiet = {**to_environment(model.settings), "OCELLI_LOG_LEVEL": "warning"}
            model.start(supervisor, quiet)
            stop = threading.Event()
            keeper = threading.Thread(target=_keep_running, args=(supervisor, stop), daemon=True)
            keeper.start()
            stack.callback(keeper.join)
            stack.callback(stop.set)
        yield model.settings


def _keep_running(supervisor: Supervisor, stop: threading.Event) -> None:
    try:
        supervisor.keep_running(NO_DATABASE, stop)
    except ChildrenFailed as error:
        fail(str(error))


@contextlib.contextmanager
def model_process(settings: Settings) -> Iterator[ModelProcess]:
    """Give the model of the settings, which is not started yet. Raises NoModel.

    The socket is this process's: requests wait in its queue while the host is started again.
    """
    if settings.model is None:
        yield ModelProcess(settings)
        return
    from ocelli.wiring.models import chosen_model, with_model

    try:
        chosen = chosen_model(settings)
    except ModelError as error:
        fail(str(error), error.hint)
        raise NoModel(WRONG_USE if isinstance(error, UnknownModel) else CANNOT_RUN) from error
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
        yield ModelProcess(with_model(settings, chosen, listener.getsockname()[1]), listener)
