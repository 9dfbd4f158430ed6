"""Streams as servers write them, and what is sent on: whole events that any client can read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ocelli.backends.chat.stream import StreamTranslator
from ocelli.domain.errors import AnalysisFailed

DONE = "data: [DONE]\n\n"


def chunk(text: str, finish: str | None = None) -> str:
    return json.dumps(
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]},
        ensure_ascii=False,
    )


ONE, TWO = chunk("Größe 🙂"), chunk(" two", "stop")
PLAIN = f"data: {ONE}\n\ndata: {TWO}\n\n{DONE}"
SPREAD = PLAIN.replace(', "delta"', ',\ndata:  "delta"')


def through(*pieces: bytes, has_end: bool = True) -> tuple[str, AnalysisFailed | None]:
    stream = StreamTranslator("up", ("sk-ours",), has_end=has_end)
    out = b""
    for piece in pieces:
        out += stream.feed(piece)
    if not stream.failed and not stream.is_done:
        out += stream.end()
    return out.decode(), stream.failed


def texts(out: str) -> list[Any]:
    """What the chunks say; each event is read as the simplest client does."""
    assert not out or out.endswith("\n\n")
    events = [event for event in out.split("\n\n") if event and event != ":"]
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    read = [json.loads(event[6:]) for event in events if event != "data: [DONE]"]
    return [each["choices"][0]["delta"]["content"] for each in read]


SPELLINGS = {
    "plain": PLAIN,
    "crlf": PLAIN.replace("\n", "\r\n"),
    "cr": PLAIN.replace("\n", "\r"),
    "mixed": PLAIN.replace("\n\n", "\r\n\n"),
    "bom": "\ufeff" + PLAIN,
    "no space": PLAIN.replace("data: ", "data:"),
    "several lines": SPREAD,
    "several lines, crlf": SPREAD.replace("\n", "\r\n"),
    "comments": ": hello\n\n:\n\n" + PLAIN.replace("data", ": wait\ndata") + ": bye\n\n",
    "empty lines": "\n\n\n" + PLAIN.replace("\n\n", "\n\n\n\n"),
    "names and numbers": PLAIN.replace("data", "event: message\nid: 7\nretry: 9\ndata"),
    "keeps open": "data:\n\ndata: ping\n\n" + PLAIN.replace(DONE, "data: null\n\n" + DONE),
    "no done": PLAIN.removesuffix(DONE),
    "no last empty line": PLAIN.removesuffix(DONE).rstrip("\n"),
    "half a done": PLAIN.removesuffix("\n"),
    "more behind the end": PLAIN + "data: {\n\n",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings(name: str) -> None:
    """Whole, and cut at every byte."""
    data = SPELLINGS[name].encode()
    for at in range(len(data) + 1):
        out, failed = through(data[:at], data[at:])
        assert failed is None
        assert texts(out) == ["Größe 🙂", " two"]
        assert out.endswith(DONE)
        assert out.count("[DONE]") == 1
    out, failed = through(*(bytes([byte]) for byte in data))
    assert (texts(out), failed) == (["Größe 🙂", " two"], None)


def test_what_is_as_it_should_be_is_not_changed() -> None:
    assert through(PLAIN.encode())[0] == PLAIN


@pytest.mark.parametrize("at", range(1, len(ONE.encode()) - 1, 7))
def test_half_an_event_is_held_back(at: int) -> None:
    whole = f"data: {TWO}\n\n".encode()
    half = b"data: " + ONE.encode()[:at]
    for rest in (b"", b"\n", b"\n\n"):
        out, failed = through(whole, half, rest)
        assert texts(out) == [" two"]
        assert failed is not None
        assert "[DONE]" not in out


def test_the_end_of_a_connection_is_no_end() -> None:
    """But for an answer that says why it ends."""
    cut = f"data: {ONE}\n\n".encode()
    for pieces, is_good in (((cut,), False), ((cut, f"data: {TWO}\n\n".encode()), True)):
        out, failed = through(*pieces, has_end=False)
        assert (failed is None) == is_good == out.endswith(DONE)
        assert failed is None or (failed.retryable and "hung up" in failed.message)


@pytest.mark.parametrize(
    "event",
    [
        'data: {"error": {"message": "no", "code": "odd"}}\n\n',
        'data: {"choices": [], "error": {"message": "no", "code": "odd"}}\n\n',
        'event: error\ndata: {"message": "no", "code": "odd"}\n\n',
        'event: error\ndata: {"error": {"message": "no", "code": "odd"}}\n\n',
        'data: {"object": "error", "message": "no", "code": "odd"}\n\n',
        'data: {"type": "error", "error": {"message": "no", "code": "odd"}}\n\n',
    ],
)
def test_errors_among_events(event: str) -> None:
    for begun in ("", f"data: {TWO}\n\n"):
        for pieces in ((begun + event,), (begun, event), (begun + event + PLAIN,)):
            out, failed = through(*(piece.encode() for piece in pieces))
            assert texts(out) == ([" two"] if begun else [])
            assert failed is not None
            assert failed.said.code == "odd"  # type: ignore[attr-defined]


def test_an_error_in_words() -> None:
    _, failed = through(b"event: error\ndata: out of sk-ours memory\n\n")
    assert failed is not None
    assert failed.message == "up refused the request (200): out of … memory"


@pytest.mark.parametrize("nothing", [b"", b": wait\n\n", DONE.encode(), b"<html>\n\n</html>", b"{"])
def test_nothing_is_no_answer(nothing: bytes) -> None:
    out, failed = through(nothing)
    assert out == ""
    assert failed is not None


def test_broken_letters_and_numbers() -> None:
    """Direct clients stop at these; half an emoji is the rest of the one in the next event."""
    broken = ONE.encode().replace("ö".encode(), b"\xc3")
    assert texts(through(b"data: " + broken + b"\n\n")[0]) == ["Gr�ße 🙂"]
    odd = '{"choices": [{"delta": {"content": "x"}, "logprobs": [NaN, -Infinity]}]}'
    out = through(f"data: {odd}\n\n".encode())[0]
    assert json.loads(out.partition("\n")[0][6:])["choices"][0]["logprobs"] == [None, None]
    half = '{"choices": [{"delta": {"content": "\\ud83d"}}]}'
    assert through(f"data: {half}\n\n".encode())[0].startswith(f"data: {half}\n\n")


def test_an_event_without_an_end() -> None:
    stream = StreamTranslator("up", (), has_end=True)
    for _ in range(17):
        assert stream.feed(b"x" * 1024**2) == b""
    assert stream.failed is not None
    assert "16 MB" in stream.failed.message


@given(st.lists(st.binary(max_size=40)))
@example([b"data: {}\r", b"\n\r", b"\n"])
@example([b'data: {"a":\r', b'\ndata: "b\\u0000"}\n\n'])
def test_whatever_comes_only_whole_events_go(pieces: list[bytes]) -> None:
    out, failed = through(*pieces)
    assert failed is not None or out.endswith(DONE)
    for event in out.split("\n\n")[:-1]:
        assert event in (":", "data: [DONE]") or isinstance(json.loads(event[6:]), dict)
