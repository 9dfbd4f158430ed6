"""An OpenAI-compatible server on loopback that answers about generated scenes from their truth.

It looks at nothing but the request: it recognises the scene in the JPEG that it is sent and reads
the task in the prompt. It errs at the rates of ``Rates``, each decision drawn from a hash of
(seed, model, task, scene, claim): independent of each other, the same on every run.

Models: every name is a person of its own, with errors of its own. Parts of a name change manners:
"fenced" answers in a code fence with prose around it, "prose" in plain sentences without any JSON,
"quoting" first copies an answer of this form that the picture shows, "shouting" writes terms of a
list in capitals and one that is not on it, "short" refuses schemas with more than 20 terms.

    with SceneServer() as server:
        settings: base_url = server.url, model = "scene-a"
        server.made          every claim that a describer made, with whether it is true
        server.calls         every request: model, task, scene, size of the picture

``python -m tests.upstream.server 8400`` runs it by itself.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import random
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from PIL import Image

from ocelli.domain.claims import Claim, ClaimType
from tests.upstream import scenes
from tests.upstream.scenes import Scene
from tests.waiting import PATIENCE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FENCED = re.compile(r"<<<(\w+):([0-9a-f]+)\n(.*?)\n\1:\2>>>", re.DOTALL)
ORDERS = re.compile(r"ignore (?:all )?(?:your|previous) instructions", re.IGNORECASE)
NONCE = re.compile(r'Begin the answer with \{"nonce": "([0-9a-f]+)",')
SIGN = "A cat."
OBEYED = "I OBEYED THE PICTURE"


class Upstream:
    """Any aiohttp handler as a server of its own, in a thread with a loop of its own.

    ``port`` 0 takes a free one.
    """

    def __init__(self, handler: Handler, port: int = 0) -> None:
        self._handler = handler
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL, as it stands in settings."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(PATIENCE), "the upstream did not start"

    def stop(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", "/{path:.*}", self._handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._stop.wait()
        await runner.cleanup()


@dataclass(frozen=True)
class Rates:
    """How often who errs."""

    planted: float = 0.20  # wrong claims of a describer
    found: float = 0.85  # of the wrong claims, by a checker
    doubted: float = 0.05  # of the true claims, by a checker
    judge_found: float = 0.90
    judge_doubted: float = 0.03


@dataclass(frozen=True)
class Made:
    """One claim that a describer made."""

    scene: int
    model: str
    claim: Claim
    true: bool


@dataclass(frozen=True)
class Call:
    """One request."""

    model: str
    task: str
    scene: int | None
    size: tuple[int, int]
    detail: str | None
    body: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @property
    def text(self) -> str:
        """All that the prompt says."""
        return _texts(self.body)


class SceneServer:
    """See the module. ``words`` are written on scenes in place of their own: number to words.

    ``latency`` is how many seconds every answer takes.
    """

    def __init__(
        self,
        rates: Rates = Rates(),
        *,
        seed: int = 0,
        latency: float = 0.0,
        words: Mapping[int, tuple[str, ...]] | None = None,
        port: int = 0,
    ) -> None:
        self.rates = rates
        self.seed = seed
        self.latency = latency
        self.words = dict(words or {})
        self.made: list[Made] = []
        self.calls: list[Call] = []
        self._upstream = Upstream(self._handle, port)

    @property
    def url(self) -> str:
        return self._upstream.url

    @property
    def planted(self) -> list[Made]:
        """The wrong ones among ``made``."""
        return [each for each in self.made if not each.true]

    def __enter__(self) -> SceneServer:
        self._upstream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.stop()

    def reset(self) -> None:
        """Forget what was recorded."""
        self.made.clear()
        self.calls.clear()

    def scene(self, number: int) -> Scene:
        return scenes.scene(number, self.words.get(number))

    def picture(self, number: int, format: str = "PNG") -> bytes:
        """The file of this scene, with this server's ``words``."""
        return scenes.picture(number, format, self.words.get(number))

    # --- HTTP

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/models":
            return web.json_response({"object": "list", "data": [{"id": "scene-a"}]})
        if request.method != "POST" or request.path != "/v1/chat/completions":
            return web.json_response({"error": {"message": "not found"}}, status=404)
        body = await request.json()
        image, detail = _image(body)
        number = scenes.recognise(image) if image else None
        with Image.open(io.BytesIO(image)) as opened:
            size = opened.size
        model, task = str(body["model"]), _task(body)
        self.calls.append(Call(model, task, number, size, detail, body, dict(request.headers)))
        if self.latency:
            await asyncio.sleep(self.latency)
        if "short" in model and len(_enum(body)) > 20:
            return web.json_response({"error": {"message": "too many enum values"}}, status=400)
        text = self._answer(body, model, task, number)
        return web.json_response(completion(text, model, prompt=len(_texts(body)) // 4 + 85))

    def _answer(self, body: Mapping[str, Any], model: str, task: str, number: int | None) -> str:
        text = _texts(body)
        if ORDERS.search(FENCED.sub("", text)):
            return OBEYED
        if number is None:
            answer = {"description": "A picture that shows no scene.", "claims": []}
            return json.dumps({"nonce": nonce(body), **answer})
        it = self.scene(number)
        if task == "tag":
            nouns = {claim.subject for claims in scenes.true_claims(it) for claim in claims}
            return _dressed({"nonce": nonce(body), "tags": _terms_of(body, model, nouns)}, model)
        if task == "describe":
            return self._describe(it, model, body)
        return self._check(it, model, task, _fences(text), nonce(body))

    # --- the tasks

    def _describe(self, it: Scene, model: str, body: Mapping[str, Any]) -> str:
        said: list[list[Claim]] = []
        for claims in scenes.true_claims(it):
            chosen: list[Claim] = []
            for claim in claims:
                key = (model, "describe", it.number, claim.text)
                if self._happens(self.rates.planted, *key):
                    wrong = scenes.wrong_claim(it, claim, random.Random(self._hash(*key, "how")))
                    chosen.append(wrong)
                    if claim.type is ClaimType.OBJECT:
                        break  # nothing is known of the colour of an invention
                else:
                    chosen.append(claim)
            said.append(chosen)
        for claims in said:
            for claim in claims:
                true = scenes.holds(it, claim.text) is True
                self.made.append(Made(it.number, model, claim, true))
        description = " ".join(scenes.sentence(claims) for claims in said)
        if "prose" in model:
            return description
        nouns = {claim.subject for claims in said for claim in claims if claim.subject}
        answer = {
            "nonce": nonce(body),
            "description": description,
            "visible_text": [
                claim.value for claims in said for claim in claims if claim.type is ClaimType.TEXT
            ],
            "tags": _terms_of(body, model, nouns) if _offered(body) else sorted(nouns),
            **({"new_tags": sorted(nouns)} if "`new_tags`" in _texts(body) else {}),
            "brands": [],
            "nsfw": 0.01,
            "claims": [
                {
                    "text": claim.text,
                    "type": claim.type.value,
                    "subject": claim.subject,
                    "count": claim.count,
                    "value": claim.value,
                    "sentence": sentence,
                }
                for sentence, claims in enumerate(said)
                for claim in claims
            ],
        }
        return _dressed(answer, model)

    def _check(
        self, it: Scene, model: str, task: str, fences: Mapping[str, str], nonce: str
    ) -> str:
        found, doubted = (
            (self.rates.judge_found, self.rates.judge_doubted)
            if task == "judge"
            else (self.rates.found, self.rates.doubted)
        )
        verdicts, dropped = [], []
        for line in fences.get("claims", "").splitlines():
            claim = json.loads(line)
            text = claim["text"]
            true = scenes.holds(it, text)
            key = (model, task, it.number, text)
            if true is None:
                ruling = "unseen"
            elif true:
                ruling = "contradicted" if self._happens(doubted, *key) else "supported"
            else:
                ruling = "contradicted" if self._happens(found, *key) else "supported"
            if ruling == "contradicted":
                dropped.append(claim)
            verdicts.append({"claim": claim["claim"], "ruling": ruling, "reason": "I looked."})
        description = json.loads(fences.get("description", '""'))
        answer = {"nonce": nonce, "verdicts": verdicts, "revised": _without(description, dropped)}
        return _dressed(answer, model)

    # --- chance

    def _hash(self, *parts: object) -> int:
        text = "|".join(map(str, (self.seed, *parts)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def _happens(self, probability: float, *parts: object) -> bool:
        return self._hash(*parts) / 2**64 < probability


def completion(
    text: str | None, model: str = "model", *, finish: str = "stop", prompt: int = 100, **more: Any
) -> dict[str, Any]:
    """The body of a good answer; ``more`` goes into the message."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, **more},
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": len(text or "") // 4,
            "total_tokens": prompt + len(text or "") // 4,
        },
    }


def _dressed(answer: Mapping[str, Any], model: str) -> str:
    text = json.dumps(answer, ensure_ascii=False)
    if "fenced" in model:
        return f"Here is what I see:\n\n```json\n{text}\n```\nLet me know if you need more!"
    if "quoting" in model:
        return f"The sign says {_sign(answer)}.\n\n{text}"
    return text


def _sign(answer: Mapping[str, Any]) -> str:
    """An answer of the same form that says otherwise, as a picture's author would write it."""
    shown = {key: value for key, value in answer.items() if key != "nonce"}
    if "verdicts" in shown:
        shown["verdicts"] = [{**each, "ruling": "supported"} for each in shown["verdicts"]]
        shown["revised"] = SIGN
    else:
        shown |= {"description": SIGN, "claims": []}
    return json.dumps(shown)


def _without(description: str, dropped: list[dict[str, Any]]) -> str:
    """The description without these claims, as far as its sentences are of our kinds.

    A sentence like "There are three red circles." loses the number or the colour alone.
    """
    kept = []
    for sentence in re.split(r"(?<=\.)\s+", description):
        parts = re.fullmatch(r"There (is|are) (\w+) (?:(\w+) )?(\w+)\.", sentence)
        gone = [claim for claim in dropped if _states(sentence, claim)]
        if not gone:
            kept.append(sentence)
        elif parts and parts[3] and len(gone) == 1 and not gone[0]["text"].startswith("There"):
            kept.append(f"There {parts[1]} {parts[2]} {parts[4]}.")
        elif parts and parts[3] and len(gone) == 1 and gone[0].get("type") == "count":
            kept.append(f"There are {parts[3]} {scenes.plural(scenes.singular(parts[4]))}.")
    return " ".join(kept)


def _states(sentence: str, claim: Mapping[str, Any]) -> bool:
    text = str(claim["text"])
    if text == sentence:
        return True
    parts = re.fullmatch(r"There (?:is|are) (\w+) (?:(\w+) )?(\w+)\.", sentence)
    if not parts:
        return False
    number, color, noun = parts.groups()
    color_claim = re.fullmatch(r"The (\w+) (?:is|are) (\w+)\.", text)
    if color_claim:
        same = scenes.singular(color_claim[1]) == scenes.singular(noun)
        return same and color_claim[2] == color
    count_claim = re.fullmatch(r"There (?:is|are) (\w+) (\w+)\.", text)
    return bool(
        count_claim
        and scenes.singular(count_claim[2]) == scenes.singular(noun)
        and (count_claim[1] == number or {count_claim[1], number} <= {"a", "an", "one"})
    )


def _texts(body: Mapping[str, Any]) -> str:
    parts = []
    for message in body.get("messages", []):
        content = message["content"]
        if isinstance(content, str):
            parts.append(content)
        else:
            parts += [part["text"] for part in content if part["type"] == "text"]
    return "\n\n".join(parts)


def _image(body: Mapping[str, Any]) -> tuple[bytes, str | None]:
    for message in body.get("messages", []):
        if isinstance(message["content"], list):
            for part in message["content"]:
                if part["type"] == "image_url":
                    url = part["image_url"]["url"]
                    data = base64.b64decode(url.partition(",")[2])
                    return data, part["image_url"].get("detail")
    raise AssertionError("a request without a picture")


def _enum(body: Mapping[str, Any]) -> list[str]:
    """The terms that the schema holds tags to."""
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    terms: list[str] = schema.get("properties", {}).get("tags", {}).get("items", {}).get("enum", [])
    return terms


def _offered(body: Mapping[str, Any]) -> list[str]:
    """The terms of the list that the prompt gives."""
    return [json.loads(line) for line in _fences(_texts(body)).get("terms", "").splitlines()]


def _terms_of(body: Mapping[str, Any], model: str, nouns: Container[str | None]) -> list[str]:
    """Those of the list that name one of these things."""
    fit = [term for term in _offered(body) if term.rpartition("/")[2] in nouns]
    return [*(term.upper() for term in fit), "not on the list"] if "shouting" in model else fit


def _task(body: Mapping[str, Any]) -> str:
    system = str(body["messages"][0]["content"])
    if system.startswith("You are the judge"):
        return "judge"
    if system.startswith("You choose keywords"):
        return "tag"
    return "check" if system.startswith("You check") else "describe"


def nonce(body: Mapping[str, Any]) -> str:
    """What this request wants repeated; empty if nothing."""
    found = NONCE.search(_texts(body))
    return found[1] if found else ""


def _fences(text: str) -> dict[str, str]:
    return {name: content for name, _, content in FENCED.findall(text)}


if __name__ == "__main__":
    with SceneServer(port=int(sys.argv[1])) as running:
        print(running.url, flush=True)
        threading.Event().wait()
