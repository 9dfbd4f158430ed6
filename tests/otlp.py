"""A collector: takes traces by OTLP over HTTP on loopback, and can behave as badly as one can."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.upstream.server import Upstream
from tests.waiting import until


class Mood(StrEnum):
    """How it answers."""

    TAKES = "takes"
    FAILS = "fails"  # 500
    BUSY = "busy"  # 503: to be asked again
    HANGS = "hangs"


@dataclass(frozen=True)
class Received:
    """One span, with its resource."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    schema: str
    failed: bool


class Collector:
    """A collector; ``with Collector() as collector`` runs it. ``bodies`` is all that came."""

    def __init__(self, mood: Mood = Mood.TAKES, port: int = 0) -> None:
        self.mood = mood
        self.spans: list[Received] = []
        self.bodies: list[bytes] = []
        self.asked = 0
        self._upstream = Upstream(self._take, port)

    @property
    def url(self) -> str:
        """The setting ``otlp_endpoint``."""
        return f"http://127.0.0.1:{self._upstream.port}"

    def __enter__(self) -> Collector:
        self._upstream.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._upstream.stop()

    def one(self, name: str, trace: str = "", **attributes: Any) -> Received:
        """The only span of this name, of ``trace`` if given, that has these attributes (``__`` for
        ``.``), awaited.
        """
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}

        def found() -> list[Received]:
            return [
                each
                for each in self.spans
                if each.name == name
                and each.trace.startswith(trace)
                and wanted.items() <= each.attributes.items()
            ]

        (only,) = until(found)
        return only

    async def _take(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.mood is Mood.HANGS:
            await asyncio.sleep(3600)
        if self.mood is not Mood.TAKES:
            return web.Response(status=500 if self.mood is Mood.FAILS else 503)
        assert (request.method, request.path) == ("POST", "/v1/traces")
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        self.bodies.append(body)
        message = ExportTraceServiceRequest.FromString(body)
        for of_resource in message.resource_spans:
            resource = _attributes(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    self.spans.append(
                        Received(
                            span.name,
                            SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            _attributes(span.attributes),
                            resource,
                            of_scope.schema_url,
                            span.status.code == Status.STATUS_CODE_ERROR,
                        )
                    )
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(),
            content_type="application/x-protobuf",
        )


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pair: KeyValue
    for pair in pairs:
        found[pair.key] = _value(pair.value)
    return found


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, str(kind))
