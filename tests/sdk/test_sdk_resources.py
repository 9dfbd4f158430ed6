"""The other resources."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.sdk.sdk_server import FakeServer, picture

from aion import (
    AionVision,
    AionvisionTimeoutError,
    BatchError,
    BatchImageInput,
    BatchVerifyInput,
    ColorFamily,
    DescriptionError,
    DescriptionResult,
    FileInfo,
    ResourceNotFoundError,
    ServerError,
    UploadConfirmation,
    ValidationError,
    VerificationResult,
)

Photos = Callable[..., list[Path]]


async def test_low_level_uploads(server: FakeServer, client: AionVision) -> None:
    quota = await client.uploads.check_quota(3)
    assert (quota.can_proceed, quota.requested, quota.max_batch_size) == (True, 3, 20)
    with pytest.raises(ValidationError):
        await client.uploads.check_quota(0)
    presigned = await client.uploads.request_presigned_url("a.jpg", "image/jpeg", 3)
    assert presigned.upload_headers == {"Content-Type": "image/jpeg"}
    assert presigned.expires_at is not None
    assert presigned.expires_at.tzinfo
    with pytest.raises(ValidationError, match="Another size"):
        await client.uploads.confirm_upload(presigned.object_key, 3)
    image = await client.upload_one(picture(), filename="a.jpg", wait_for_descriptions=False)
    status = await client.uploads.wait_for_description(image.image_id, poll_interval=0.05)
    assert (status.is_complete, status.is_successful, status.status) == (True, True, "completed")
    assert (status.tags, status.confidence_score) == (["cat", "sofa"], 0.9)
    server.fail_names = "b.jpg"
    image = await client.upload_one(picture(), filename="b.jpg", wait_for_descriptions=False)
    with pytest.raises(DescriptionError):
        await client.uploads.wait_for_description(image.image_id)
    server.describe_after = 60
    image = await client.upload_one(picture(), filename="c.jpg", wait_for_descriptions=False)
    with pytest.raises(AionvisionTimeoutError):
        await client.uploads.wait_for_description(image.image_id, timeout=0.1)


async def test_presigned_batch(server: FakeServer, client: AionVision) -> None:
    infos = [FileInfo(f"{n}.jpg", 3, "image/jpeg") for n in range(2)]
    prepared = await client.uploads.batch_prepare(infos, verification_level="quick")
    assert prepared.upload_plan.max_concurrent == 3
    assert [u.filename for u in prepared.presigned_urls] == ["0.jpg", "1.jpg"]
    confirmations = [UploadConfirmation(u.object_key, True, 3) for u in prepared.presigned_urls]
    confirmed = await client.uploads.batch_confirm(prepared.batch_id, confirmations)
    assert (confirmed.successful_uploads, confirmed.failed_files) == (2, [])
    assert confirmed.stored_images[0].image_id in server.images
    status = await client.uploads.get_batch_status(prepared.batch_id)
    assert (status.total, status.completed, status.is_terminal) == (2, 1, False)
    assert (await client.uploads.get_batch_status(prepared.batch_id)).is_terminal
    for wrong in ([], infos * 3):
        with pytest.raises(ValidationError, match="1 to 5"):
            await client.uploads.batch_prepare(wrong)


async def test_files(server: FakeServer, client: AionVision, photos: Photos) -> None:
    await client.upload(photos(23))
    page = await client.files.list(limit=10, tags=["a", "b"], date_from=date(2026, 1, 31))
    assert (len(page.files), page.total_count, page.has_more) == (10, 23, True)
    everything = [f async for f in client.files.list_all(page_size=10)]
    assert len({f.id for f in everything}) == 23
    identifier = everything[0].id
    details = await client.files.get(identifier)
    assert details.full_descriptions[-1].confidence_score == 0.9
    changed = await client.files.update(identifier, title="A title", tags=[])
    assert (changed.title, changed.tags) == ("A title", [])
    assert (await client.files.get_variant(identifier)).startswith("http://127.0.0.1")
    assert await client.files.download(identifier) == b"the bytes of " + identifier.encode()
    deleted = await client.files.delete(identifier)
    assert (deleted.id, deleted.message) == (identifier, "gone")
    with pytest.raises(ResourceNotFoundError) as caught:
        await client.files.get(identifier)
    assert caught.value.resource_id == identifier
    many = await client.files.batch_delete([f.id for f in everything[1:4]])
    assert (len(many.deleted), many.summary["total"]) == (3, 3)
    server.answers["POST", f"user-files/{everything[5].id}/trigger-variants"] = {"task_id": "t"}
    answer = await client.files.trigger_variant_generation(everything[5].id)
    assert answer == {"task_id": "t"}


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.files.list(limit=101),
        lambda c: c.files.list(ids=["x"] * 501),
        lambda c: c.files.get(""),
        lambda c: c.files.update("x"),
        lambda c: c.files.batch_delete([]),
        lambda c: c.files.batch_delete(["a", "a"]),
        lambda c: c.files.batch_delete([str(n) for n in range(101)]),
        lambda c: c.colors.extract("x", n_colors=2),
        lambda c: c.colors.batch_extract([]),
        lambda c: c.colors.search(),
        lambda c: c.colors.search(hex_code="red"),
        lambda c: c.colors.search(color_name="red", delta_e_threshold=101),
        lambda c: c.colors.search(color_name="red", limit=201),
        lambda c: c.batch.get_results("x", limit=0),
        lambda c: c.batch.submit_describe([]),
        lambda c: c.batch.submit_verify([]),
        lambda c: c.tenant.update_settings(),
        lambda c: c.describe(),
        lambda c: c.describe("http://x/a.jpg", object_key="k"),
        lambda c: c.verify("http://x/a.jpg"),
        lambda c: c.verify("http://x/a.jpg", "text", images=["http://x/b.jpg"]),
        lambda c: c.verify(images=["http://x/a.jpg"], contents=["a", "b"]),
        lambda c: c.verify(images=["http://x/a.jpg"], content="a"),
    ],
)
async def test_refused_before_anything_is_sent(
    call: Any, server: FakeServer, client: AionVision
) -> None:
    with pytest.raises(ValidationError):
        await call(client)
    assert server.seen == []


async def test_ids_cannot_leave_their_path(server: FakeServer, client: AionVision) -> None:
    with pytest.raises(ResourceNotFoundError):
        await client.files.get("../uploads/quota-check?file_count=1")
    assert server.seen == [("GET", "/api/v2/user-files/../uploads/quota-check?file_count=1")]


async def test_settings_and_tenant(server: FakeServer, client: AionVision) -> None:
    config = {"configured": True, "bucket_name": "b", "region": "r", "configured_at": "2026"}
    for method in ("POST", "GET"):
        server.answers[method, "tenant/s3-config"] = config
    server.answers["POST", "tenant/s3-config/validate"] = {"valid": True, "bucket_name": "b"}
    server.answers["DELETE", "tenant/s3-config"] = {"removed": True, "message": "gone"}
    given = await client.settings.configure_custom_s3("k", "s", "b", "r")
    assert (given.configured, given.configured_at) == (True, "2026")
    assert (await client.settings.get_custom_s3_status()).bucket_name == "b"
    assert (await client.settings.validate_custom_s3()).valid
    assert (await client.settings.remove_custom_s3())["message"] == "gone"
    server.answers["GET", "tenant/settings"] = {"id": "t", "name": "Us", "allowed_domains": None}
    server.answers["PATCH", "tenant/settings"] = lambda body: {"id": "t", **body}
    assert (await client.tenant.get_settings()).allowed_domains == []
    assert (await client.tenant.update_settings(name="Them")).name == "Them"
    limits = {"limits": {"a": 3}, "usage": {"a": 1}, "remaining": {"a": 2}}
    server.answers["GET", "tenant/limits"] = limits
    assert (await client.tenant.get_limits()).get_remaining("a") == 2


COLOR = {
    "rank": 1,
    "percentage": 60.5,
    "rgb": {"r": 255, "g": 0, "b": 0},
    "hsl": {"h": 0, "s": 100, "l": 50},
    "lab": {"l": 53.2, "a": 80.1, "b": 67.2},
    "hex": "#ff0000",
    "name": "red",
    "family": "warm",
}
ANALYSIS = {
    "version": "1",
    "dominant_colors": [COLOR],
    "analytics": {
        "temperature": {"value": "warm", "score": 0.9},
        "brightness": {"average": 50, "category": "medium"},
        "saturation": {"average": 90, "category": "vivid"},
    },
    "extracted_at": "2026-01-31T12:00:00Z",
}


async def test_colors(server: FakeServer, client: AionVision) -> None:
    done = {"image_id": "i", "status": "completed", "color_analysis": ANALYSIS}
    server.answers["GET", "colors/images/i"] = done
    server.answers["POST", "colors/images/i/extract"] = {"image_id": "i", "status": "queued"}
    server.answers["POST", "colors/batch/extract"] = {"queued_count": 2, "message": "ok"}
    server.answers["GET", "colors/families"] = [{"name": "warm"}, {"name": "wood"}]
    server.answers["POST", "colors/search"] = lambda body: {
        "results": [{"image_id": str(n), "match_score": 1} for n in range(body["offset"], 5)][
            : body["limit"]
        ],
        "total_count": 5,
        "limit": body["limit"],
        "offset": body["offset"],
    }
    read = await client.colors.get("i")
    assert read.is_completed
    assert read.color_analysis is not None
    [color] = read.color_analysis.dominant_colors
    assert (color.rgb.r, color.lab.a, color.family_enum) == (255, 80.1, ColorFamily.WARM)
    assert read.color_analysis.analytics is not None
    assert read.color_analysis.analytics.temperature.value == "warm"
    assert (await client.colors.extract("i", force=True)).is_pending
    assert (await client.colors.batch_extract(["i", "j"])).queued_count == 2
    families = await client.colors.list_families()
    assert [f.family_enum for f in families] == [ColorFamily.WARM, None]
    page = await client.colors.search(hex_code="#f00", limit=2)
    assert page.has_more
    found = [m.image_id async for m in client.colors.search_all(color_family="warm", page_size=2)]
    assert found == ["0", "1", "2", "3", "4"]


def job(server: FakeServer, status: str, outputs: list[dict[str, Any] | None]) -> list[Any]:
    """A batch job ``b`` that needs two looks; returns what was submitted."""
    submitted: list[Any] = []
    looks = iter(["processing", status, status, status])

    def submit(body: Any) -> dict[str, Any]:
        submitted.append(body)
        return {"batch_id": "b", "status": "pending", "total_items": len(outputs)}

    items = [
        {"item_id": f"i{n}", "item_index": n, "output_data": output,
         "status": "success" if output else "failed", "error_message": None if output else "no"}
        for n, output in enumerate(outputs)
    ]  # fmt: skip
    for kind in ("describe", "verify"):
        server.answers["POST", f"batch/{kind}"] = submit
    server.answers["GET", "batch/b"] = lambda _: {
        "batch_id": "b", "status": next(looks), "total_items": 2, "failed_items": 1
    }  # fmt: skip
    server.answers["GET", "batch/b/results"] = {
        "batch_id": "b",
        "status": status,
        "results": items[::-1],
        "pagination": {"has_more": False},
    }
    server.answers["DELETE", "batch/b"] = 204
    return submitted


async def test_batch(server: FakeServer, client: AionVision) -> None:
    job(server, "completed", [{"description": "A cat.", "consensus_score": 0.8}, None])
    seen: list[str] = []
    status = await client.batch.wait_for_completion(
        "b", poll_interval=0.01, on_progress=lambda s: seen.append(s.status)
    )
    assert status.is_terminal()
    assert seen == ["processing", "completed"]
    results = await client.batch.get_results("b")
    assert len(results.successful_results()) == len(results.failed_results()) == 1
    [good] = results.successful_results()
    assert (good.description, good.confidence_score, good.is_verified) == ("A cat.", 0.8, None)
    assert [i.item_id async for i in client.batch.get_all_results("b")] == ["i1", "i0"]
    await client.batch.cancel("b")


async def test_batch_that_fails(server: FakeServer, client: AionVision) -> None:
    job(server, "failed", [None])
    with pytest.raises(BatchError) as caught:
        await client.batch.wait_for_completion("b", poll_interval=0.01)
    assert (caught.value.batch_id, caught.value.failed_items) == ("b", [])
    server.answers["GET", "batch/b"] = {"batch_id": "b", "status": "processing"}
    with pytest.raises(AionvisionTimeoutError) as late:
        await client.batch.wait_for_completion("b", timeout=0.05, poll_interval=0.01)
    assert late.value.last_result.status == "processing"


async def test_describe(server: FakeServer, client: AionVision, photos: Photos) -> None:
    sent: list[Any] = []

    def describe(body: Any) -> dict[str, Any]:
        sent.append(body)
        return {
            "operation_id": "o",
            "description": "A cat.",
            "consensus_score": 0.8,
            "providers_used": ["a", "b"],
            "features": [{"name": "cat", "items": []}],
        }

    server.answers["POST", "describe/"] = describe
    [path] = photos(1)
    result = await client.describe(path, prompt="What?")
    assert isinstance(result, DescriptionResult)
    assert (result.confidence_score, result.provider_count) == (0.8, 2)
    assert result.key_elements == ["cat"]
    encoded = base64.b64encode(path.read_bytes()).decode()
    assert sent[0]["image_base64"] == f"data:image/jpeg;base64,{encoded}"
    assert sent[0]["prompt"] == "What?"
    await client.describe("https://example.org/a.jpg")
    assert sent[1]["image_url"] == "https://example.org/a.jpg"
    await client.describe(b"\x89PNG...")
    assert sent[2]["image_base64"].startswith("data:image/png")
    submitted = job(server, "completed", [{"description": "A."}, {"description": "B."}])
    several = await client.describe([path, "https://example.org/b.jpg"])
    assert isinstance(several, list)
    assert [d.description for d in several] == ["A.", "B."]
    assert len(submitted[0]["images"]) == 2
    job(server, "completed", [{"description": "A."}, None])
    with pytest.raises(BatchError, match="item 1: no"):
        await client.describe(object_keys=["k", "l"])


async def test_verify(server: FakeServer, client: AionVision) -> None:
    answer = {
        "operation_id": "o",
        "is_verified": False,
        "confidence_score": 0.85,
        "risk_level": "high",
        "risk_score": 0.15,
        "explanation": "There is no dog.",
        "detected_issues": [{"type": "hallucination", "description": "dog", "severity": "high"}],
        "providers_used": ["a"],
    }
    server.answers["POST", "verify/"] = answer
    result = await client.verify("https://example.org/a.jpg", "A dog.")
    assert isinstance(result, VerificationResult)
    assert (result.hallucination_probability, result.summary) == (0.15, "There is no dog.")
    assert result.issues[0].severity == "high"
    submitted = job(server, "completed", [answer, answer])
    several = await client.verify(object_keys=["k", "l"], contents=["A.", "B."])
    assert isinstance(several, list)
    assert len(several) == 2
    assert [p["text"] for p in submitted[0]["image_text_pairs"]] == ["A.", "B."]
    pair = BatchVerifyInput(BatchImageInput(object_key="k"), "A.")
    assert (await client.batch.submit_verify([pair])).batch_id == "b"


async def test_an_answer_that_lacks_everything(server: FakeServer, client: AionVision) -> None:
    server.answers["GET", "batch/x"] = {}
    with pytest.raises(ServerError, match="it lacks batch_id, status"):
        await client.batch.get_status("x")
