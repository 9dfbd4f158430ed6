"""What a page shows of the API: the request of an action, for curl and for the Python SDK."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request.

    ``call`` is a method of the SDK's client, such as ``files.list``, that makes the same one with
    ``positional`` and named ``arguments``. ``query`` may hold lists; in
    ``form`` a value that begins with @ is a file.
    """

    title: str
    method: str
    path: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    positional: Sequence[Any] = ()
    form: Mapping[str, str] = field(default_factory=dict)

    def curl(self, base_url: str) -> str:
        """Return the command."""
        query = {name: value for name, value in self.query.items() if value not in (None, [], "")}
        url = base_url + self.path + (f"?{urlencode(query, doseq=True)}" if query else "")
        method = "" if self.method == "GET" or self.form else f" -X {self.method}"
        parts = [
            f"curl{method} {shlex.quote(url)}",
            '-H "Authorization: Bearer $AIONVISION_API_KEY"',
        ]
        if self.body is not None:
            text = json.dumps(self.body, ensure_ascii=False)
            parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
        parts += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in self.form.items()]
        return " \\\n  ".join(parts)

    def python(self, base_url: str) -> str:
        """Return the program."""
        named = [
            f"{name}={value!r}"
            for name, value in self.arguments.items()
            if value not in (None, [], "")
        ]
        given = ", ".join([*map(repr, self.positional), *named])
        return (
            "import os\n"
            "from aion import SyncAionVision\n\n"
            'key = os.environ["AIONVISION_API_KEY"]\n'
            f"with SyncAionVision(key, base_url={base_url + '/api/v2'!r}) as client:\n"
            f"    print(client.{self.call}({given}))"
        )
