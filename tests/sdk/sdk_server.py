"""A small HTTP server that behaves as ``/api/v2`` does, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web
from tests.waiting import PATIENCE

KEY = "aion_" + "k" * 24


@dataclass
class Stored:
    """One picture."""

    id: str
    filename: str
    sha256: str
    size: int
    target: str
    born: float


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests whose path contains ``path``."""

    path: str
    kind: str  # "status", "html", "cut", "hang_up", "reset", "json"
    times: int
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    method: str | None = None


class FakeServer:
    """Runs in a thread of its own; its attributes may be changed at any time."""

    def __init__(self) -> None:
        self.images: dict[str, Stored] = {}
        self.by_hash: dict[str, str] = {}
        self.sessions: dict[str, list[tuple[str, str]]] = {}
        self.presigned: dict[str, dict[str, Any]] = {}
        self.faults: list[Fault] = []
        self.seen: list[tuple[str, str]] = []
        self.targets: list[str] = []  # of the requests, as they stand in their first line
        self.headers: list[dict[str, str]] = []
        self.fields: list[dict[str, str]] = []
        self.describe_after = 0.0  # seconds; None: never
        self.fail_names = ""  # descriptions of files with this in their name fail
        self.reject_names = ""  # such files are rejected
        self.max_batch_size: int | None = 20
        self.can_proceed = True
        self.offers: set[str] = {"quota", "duplicates", "batch"}
        self.events = False
        self.list_index = True
        self.list_processing = True  # whether a session lists files that are not described yet
        self.confidence_in_session = False
        self.delay = 0.0
        self.busy = self.most_busy = 0
        self.most_uploads, self.uploads, self.upload_time = 100, 0, 0.0
        self.body_bytes = 0
        self.quota: dict[str, Any] = {}
        self.batch_polls = 2
        self.started = threading.Event()

    # --- life --------------------------------------------------------------------------------

    def start(self) -> FakeServer:
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.thread.start()
        assert self.started.wait(PATIENCE)
        return self

    def stop(self) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.stopping.set)
        self.thread.join(PATIENCE)

    def restart(self, away: float) -> None:
        """Die, with everything that is under way, and come back after so many seconds."""
        self.stop()
        time.sleep(away)
        self.started.clear()
        self.start()

    async def _main(self) -> None:
        self.loop, self.stopping = asyncio.get_running_loop(), asyncio.Event()
        self.transports: list[asyncio.Transport | None] = []
        app = web.Application(client_max_size=2**30, middlewares=[self._middleware])
        api = "/api/v2"
        app.router.add_post(f"{api}/user-files/upload/stream", self.stream)
        app.router.add_post(f"{api}/user-files/upload/stream-batch", self.stream_batch)
        app.router.add_get(f"{api}/user-files", self.list_files)
        app.router.add_get(f"{api}/user-files/{{id}}", self.get_file)
        app.router.add_patch(f"{api}/user-files/{{id}}", self.update_file)
        app.router.add_delete(f"{api}/user-files/{{id}}", self.delete_file)
        app.router.add_post(f"{api}/user-files/batch-delete", self.batch_delete)
        app.router.add_get(f"{api}/user-files/{{id}}/variant/{{type}}", self.variant)
        app.router.add_get(f"{api}/user-files/{{id}}/download", self.variant)
        app.router.add_get(f"{api}/uploads/status/{{id}}", self.upload_status)
        app.router.add_get(f"{api}/uploads/quota-check", self.quota_check)
        app.router.add_post(f"{api}/uploads/check-duplicates", self.check_duplicates)
        app.router.add_get(f"{api}/uploads/sessions/{{id}}/status", self.session_status)
        app.router.add_get(f"{api}/uploads/sessions/{{id}}/results", self.session_results)
        app.router.add_get(f"{api}/uploads/sessions/{{id}}/events", self.session_events)
        app.router.add_post(f"{api}/uploads/request-presigned-url", self.request_presigned)
        app.router.add_put("/store/{id}", self.store)
        app.router.add_get("/store/{id}", self.fetch)
        app.router.add_post(f"{api}/uploads/confirm", self.confirm)
        app.router.add_post(f"{api}/uploads/batch-prepare", self.batch_prepare)
        app.router.add_post(f"{api}/uploads/batch-confirm", self.batch_confirm)
        app.router.add_get(f"{api}/uploads/batch/{{id}}/status", self.batch_status)
        app.router.add_route("*", f"{api}/{{rest:.*}}", self.canned)
        self.answers: dict[tuple[str, str], Any] = {}
        self.runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.02)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", getattr(self, "port", 0))
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{self.port}/api/v2"
        self.started.set()
        await self.stopping.wait()
        await self.runner.cleanup()
        for transport in self.transports:  # one that still had something to send waits for nobody
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.02)  # lets the loop close what the clean-up has let go

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self.runner.server.connections) if self.runner.server else 0

    def forget(self, image_id: str) -> None:
        """Somebody deletes a picture."""
        self.by_hash.pop(self.images.pop(image_id).sha256, None)

    def count(self, path: str) -> int:
        """How many requests went to paths that contain this."""
        return sum(path in seen for _, seen in self.seen)

    def fault(self, path: str, kind: str = "status", times: int = 1, **how: Any) -> None:
        self.faults.append(Fault(path, kind, times, **how))

    # --- misbehaviour ------------------------------------------------------------------------

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.transports.append(request.transport)
        self.seen.append((request.method, request.path))
        self.targets.append(request.raw_path)
        self.headers.append(dict(request.headers))
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            for fault in self.faults:
                right = fault.method in (None, request.method)
                if fault.times and right and fault.path in request.path:
                    fault.times -= 1
                    return await self._misbehave(fault, request, handler)
            if "/api/" in request.path and request.headers.get("Authorization") != f"Bearer {KEY}":
                return error(401, "INVALID_API_KEY", "No such key.")
            response: web.StreamResponse = await handler(request)
            return response
        finally:
            self.busy -= 1

    async def _misbehave(
        self, fault: Fault, request: web.Request, handler: Any
    ) -> web.StreamResponse:
        if fault.kind == "status":
            await request.read()
            code = "RATE_LIMIT_ERROR" if fault.status == 429 else f"HTTP_{fault.status}"
            body = fault.body or {"error": {"code": code, "message": "as told", "details": {}}}
            return web.json_response(body, status=fault.status, headers=fault.headers)
        if fault.kind == "html":
            await request.read()
            page = "<html><title>Bad Gateway</title></html>"
            return web.Response(text=page, status=fault.status, content_type="text/html")
        if fault.kind == "json":
            return web.json_response(fault.body)
        if fault.kind == "hang_up":
            request.transport.close()  # type: ignore[union-attr]
            return web.Response()
        if fault.kind == "never":
            await request.read()
            await asyncio.sleep(3600)
        # "cut": the work is done, but the answer does not come through whole
        real = await handler(request)
        cut = web.StreamResponse(headers={"Content-Length": "5000"})
        await cut.prepare(request)
        await cut.write(real.body[:10])
        request.transport.close()  # type: ignore[union-attr]
        return cut

    # --- uploads -----------------------------------------------------------------------------

    async def _receive(self, request: web.Request) -> tuple[dict[str, str], list[dict[str, Any]]]:
        fields: dict[str, str] = {}
        files = []
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            if part.filename is None:
                fields[str(part.name)] = await part.text()
                continue
            digest, size = hashlib.sha256(), 0
            while piece := await part.read_chunk(2**18):
                digest.update(piece)
                size += len(piece)
            self.body_bytes += size
            files.append({"name": part.filename, "sha": digest.hexdigest(), "size": size})
        self.fields.append(fields)
        return fields, files

    def _keep(self, fields: dict[str, str], file: dict[str, Any]) -> tuple[str, bool]:
        """The picture's id, and whether it was there already."""
        if fields.get("skip_duplicates") == "true" and file["sha"] in self.by_hash:
            return self.by_hash[file["sha"]], True
        image_id = str(uuid.uuid4())
        target = fields.get("storage_target", "default")
        self.images[image_id] = Stored(
            image_id, file["name"], file["sha"], file["size"], target, time.monotonic()
        )
        self.by_hash[file["sha"]] = image_id
        return image_id, False

    async def stream(self, request: web.Request) -> web.Response:
        fields, files = await self._receive(request)
        if fields.get("storage_target") == "custom" and "custom" not in self.offers:
            return error(422, "VALIDATION_ERROR", "No bucket.", field="storage_target")
        if self.reject_names and self.reject_names in files[0]["name"]:
            return error(422, "VALIDATION_ERROR", "Not a picture.", field="file")
        image_id, known = self._keep(fields, files[0])
        return web.json_response(
            {
                "image_id": image_id,
                "object_key": f"uploads/{image_id}",
                "status": "skipped" if known else "processing",
                "skipped": known,
                "skipped_existing_image_id": image_id if known else None,
                "new_in_a_later_version": 1,
            }
        )

    async def stream_batch(self, request: web.Request) -> web.Response:
        if "batch" not in self.offers:
            return error(404, "NOT_FOUND", "Not Found")
        fields, files = await self._receive(request)
        if self.uploads >= self.most_uploads:
            return error(429, "RATE_LIMIT_ERROR", "Too many uploads.", retry_after=0)
        self.uploads += 1
        try:
            await asyncio.sleep(self.upload_time)
        finally:
            self.uploads -= 1
        if self.max_batch_size and len(files) > self.max_batch_size:
            return error(413, "HTTP_413", "Too many files.")
        session_id = str(uuid.uuid4())
        items, rejections, session = [], [], []
        for index, file in enumerate(files):
            if self.reject_names and self.reject_names in file["name"]:
                rejections.append(
                    {
                        "filename": file["name"],
                        "index": index,
                        "reason": "Not a picture.",
                        "retryable": False,
                    }
                )
                continue
            image_id, known = self._keep(fields, file)
            session.append((image_id, file["name"]))
            items.append(
                {
                    "image_id": image_id,
                    "filename": file["name"],
                    "object_key": f"uploads/{image_id}",
                    "status": "skipped" if known else "processing",
                    "skipped_existing_image_id": image_id if known else None,
                }
            )
        self.sessions[session_id] = session
        return web.json_response(
            {
                "session_id": session_id,
                "total_files": len(files),
                "accepted_files": len(items),
                "rejected_files": len(rejections),
                "status": "processing",
                "immediate_results": items if len(files) <= 5 else None,
                "rejections": rejections or None,
            }
        )

    def _state(self, image: Stored) -> str:
        if self.describe_after is None or time.monotonic() - image.born < self.describe_after:
            return "processing"
        failed = self.fail_names and self.fail_names in image.filename
        return "failed" if failed else "completed"

    def _row(self, image: Stored) -> dict[str, Any]:
        state = self._state(image)
        done = state == "completed"
        return {
            "id": image.id,
            "filename": image.filename,
            "upload_description": f"A picture named {image.filename}." if done else None,
            "visible_text": "STOP" if done else None,
            "tags": [],
            "ai_tags": ["cat", "sofa"] if done else [],
            "size_bytes": image.size,
            "description_status": state,
            "description_error": "the model said 503" if state == "failed" else None,
            "confidence_score": 0.9 if done else None,
            "created_at": "2026-01-31T12:00:00Z",
            "thumbnail_url": f"http://127.0.0.1:{self.port}/store/{image.id}",
        }

    async def list_files(self, request: web.Request) -> web.Response:
        wanted = request.query.getall("ids", [])
        chosen = (
            [self.images[i] for i in wanted if i in self.images]
            if wanted
            else [*self.images.values()]
        )
        limit, offset = int(request.query.get("limit", 20)), int(request.query.get("offset", 0))
        if not 1 <= limit <= 100:
            return error(422, "VALIDATION_ERROR", "limit", field="limit")
        page = chosen[offset : offset + limit]
        return web.json_response(
            {
                "files": [self._row(image) for image in page],
                "total_count": len(chosen),
                "has_more": offset + limit < len(chosen),
            }
        )

    async def get_file(self, request: web.Request) -> web.Response:
        image = self.images.get(request.match_info["id"])
        if image is None:
            return error(404, "NOT_FOUND", "No such file.")
        row = self._row(image)
        full = {"id": "d", "description": row["upload_description"], "confidence_score": 0.9}
        full |= {"tags": row["ai_tags"]}
        hidden = ("confidence_score", "description_error", "ai_tags", "filename")
        detail = {k: v for k, v in row.items() if k not in hidden}
        detail |= {"object_key": f"uploads/{image.id}", "original_filename": image.filename}
        detail |= {"full_descriptions": [full] if row["upload_description"] else []}
        return web.json_response(detail)

    async def upload_status(self, request: web.Request) -> web.Response:
        image = self.images[request.match_info["id"]]
        failed = self._state(image) == "failed"
        return web.json_response(
            {
                "image_id": image.id,
                "unified_status": self._state(image),
                "error_message": "The model did not answer." if failed else None,
                "error_type": "vlm_error" if failed else None,
                "is_retryable": True if failed else None,
            }
        )

    async def quota_check(self, request: web.Request) -> web.Response:
        if "quota" not in self.offers:
            return error(404, "NOT_FOUND", "Not Found")
        count = int(request.query["file_count"])
        quota = {
            "can_proceed": self.can_proceed,
            "requested": count,
            "available": 1000,
            "monthly_limit": 1000,
            "current_usage": 0,
            "max_batch_size": self.max_batch_size,
            "max_concurrent_uploads": 20,
            "message": None,
        }
        return web.json_response({**quota, **self.quota})

    async def check_duplicates(self, request: web.Request) -> web.Response:
        if "duplicates" not in self.offers:
            return error(404, "NOT_FOUND", "Not Found")
        hashes = (await request.json())["hashes"]
        known = {h: self.by_hash[h] for h in hashes if h in self.by_hash}
        return web.json_response(
            {
                "duplicates": list(known),
                "unique": [h for h in hashes if h not in known],
                "existing": known,
            }
        )

    # --- sessions ----------------------------------------------------------------------------

    def _items(self, session_id: str) -> list[dict[str, Any]]:
        items = []
        for index, (image_id, filename) in enumerate(self.sessions[session_id]):
            if image_id not in self.images:
                continue
            row = self._row(self.images[image_id])
            item = {
                "image_id": image_id,
                "filename": filename,
                "object_key": f"uploads/{image_id}",
                "status": row["description_status"],
                "description": row["upload_description"],
                "visible_text": row["visible_text"],
                "tags": row["ai_tags"],
                "error_message": row["description_error"],
            }
            if self.list_index:
                item["index"] = index
            if self.confidence_in_session:
                item["confidence_score"] = row["confidence_score"]
            items.append(item)
        return items

    async def session_status(self, request: web.Request) -> web.Response:
        items = self._items(request.match_info["id"])
        states = Counter(item["status"] for item in items)
        over = not states["processing"]
        return web.json_response(
            {
                "session_id": request.match_info["id"],
                "status": "completed" if over else "processing",
                "total_files": len(items),
                "completed_files": states["completed"],
                "failed_files": states["failed"],
                "progress_percentage": 100.0 * (1 - states["processing"] / (len(items) or 1)),
            }
        )

    async def session_results(self, request: web.Request) -> web.Response:
        items = self._items(request.match_info["id"])
        if not self.list_processing:
            items = [item for item in items if item["status"] != "processing"]
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        more = offset + limit < len(items)
        page = items[offset : offset + limit]
        return web.json_response({"results": page, "has_more": more, "total_count": len(items)})

    async def session_events(self, request: web.Request) -> web.StreamResponse:
        if not self.events:
            return error(404, "NOT_FOUND", "Not Found")
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for _ in range(200):
            await stream.write(b"event: progress\ndata: {}\n\n")
            await asyncio.sleep(0.05)
        return stream

    # --- presigned ---------------------------------------------------------------------------

    def _reserve(self, spec: dict[str, Any]) -> dict[str, Any]:
        identifier = str(uuid.uuid4())
        self.presigned[f"uploads/{identifier}"] = {**spec, "id": identifier}
        return {
            "upload_url": f"http://127.0.0.1:{self.port}/store/{identifier}",
            "upload_method": "PUT",
            "upload_fields": {},
            "upload_headers": {"Content-Type": spec["content_type"]},
            "object_key": f"uploads/{identifier}",
            "expires_at": "2026-01-31T12:10:00",
            "max_size_bytes": 2**30,
        }

    async def request_presigned(self, request: web.Request) -> web.Response:
        return web.json_response(self._reserve(await request.json()))

    async def store(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        digest, size = hashlib.sha256(), 0
        async for piece in request.content.iter_chunked(2**18):
            digest.update(piece)
            size += len(piece)
        spec = self.presigned[f"uploads/{request.match_info['id']}"]
        spec |= {"sha": digest.hexdigest(), "size": size, "name": spec["filename"]}
        spec["content_type"] = request.headers.get("Content-Type")
        return web.Response()

    async def fetch(self, request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(body=b"the bytes of " + request.match_info["id"].encode())

    async def confirm(self, request: web.Request) -> web.Response:
        body = await request.json()
        spec = self.presigned[body["object_key"]]
        if spec.get("size") != body["size_bytes"]:
            return error(422, "VALIDATION_ERROR", "Another size.", field="size_bytes")
        image_id, _ = self._keep({}, spec)
        key = body["object_key"]
        return web.json_response(
            {"upload_id": image_id, "object_key": key, "storage_path": key, "confirmed": True}
        )

    async def batch_prepare(self, request: web.Request) -> web.Response:
        body = await request.json()
        urls = [
            {"file_index": index, "filename": spec["filename"], **self._reserve(spec)}
            for index, spec in enumerate(body["files"])
        ]
        plan = {"strategy": "parallel", "max_concurrent": 3, "timeout_per_upload": 300}
        return web.json_response(
            {"batch_id": "batch_1", "upload_plan": plan, "presigned_urls": urls}
        )

    async def batch_confirm(self, request: web.Request) -> web.Response:
        body = await request.json()
        images = []
        for confirmation in body["confirmations"]:
            spec = self.presigned[confirmation["object_key"]]
            image_id, _ = self._keep({}, {"sha": "", "size": 1, "name": spec["filename"], **spec})
            images.append(
                {
                    "image_id": image_id,
                    "object_key": confirmation["object_key"],
                    "filename": spec["filename"],
                }
            )
        return web.json_response(
            {
                "batch_id": body["batch_id"],
                "successful_uploads": len(images),
                "failed_uploads": 0,
                "processing_status": "queued",
                "failed_files": None,
                "message": "",
                "stored_images": images,
            }
        )

    async def batch_status(self, request: web.Request) -> web.Response:
        self.batch_polls -= 1
        over = self.batch_polls <= 0
        return web.json_response(
            {
                "batch_id": request.match_info["id"],
                "overall_status": "completed" if over else "processing",
                "completion_percentage": 100.0 if over else 50,
                "counts": {
                    "total": 2,
                    "completed": 2 if over else 1,
                    "processing": 0 if over else 1,
                },
            }
        )

    # --- files -------------------------------------------------------------------------------

    async def update_file(self, request: web.Request) -> web.Response:
        body = await request.json()
        return web.json_response({"id": request.match_info["id"], "tags": [], **body})

    async def delete_file(self, request: web.Request) -> web.Response:
        image = self.images.pop(request.match_info["id"], None)
        if image is None:
            return error(404, "NOT_FOUND", "No such file.")
        self.by_hash.pop(image.sha256, None)
        return web.json_response(
            {"id": image.id, "deleted_at": "2026-01-31T12:00:00Z", "message": "gone"}
        )

    async def batch_delete(self, request: web.Request) -> web.Response:
        ids = (await request.json())["file_ids"]
        deleted = [{"id": i, "status": "deleted"} for i in ids if self.images.pop(i, None)]
        return web.json_response(
            {"deleted": deleted, "skipped": [], "failed": [], "summary": {"total": len(ids)}}
        )

    async def variant(self, request: web.Request) -> web.Response:
        raise web.HTTPFound(f"/store/{request.match_info['id']}")

    async def canned(self, request: web.Request) -> web.Response:
        answer = self.answers.get((request.method, request.match_info["rest"]))
        if answer is None:
            return error(404, "NOT_FOUND", "Not Found")
        if callable(answer):
            answer = answer(await request.json() if request.can_read_body else None)
        if answer == 204:
            return web.Response(status=204)
        return web.json_response(answer)


def error(status: int, code: str, message: str, **details: Any) -> web.Response:
    envelope = {"error": {"code": code, "message": message, "details": details}}
    return web.json_response({**envelope, "request_id": "r-1"}, status=status)


_numbers = itertools.count()


def picture() -> bytes:
    """Bytes that no other picture has."""
    return b"\xff\xd8\xff" + f"{next(_numbers)}-{uuid.uuid4()}".encode()
