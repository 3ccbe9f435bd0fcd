"""The job as callers see it: one JSON shape for polling, lists, waiting and webhooks (contract, section 4). Pure."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from pixeldojo.assets.store import Asset
from pixeldojo.core.clock import iso_utc
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.money import credits_number
from pixeldojo.db.columns import storable
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.states import JobStatus
from pixeldojo.webhooks.store import Delivery

# Standard Webhooks asks for bodies under 20 kB.
WEBHOOK_BODY_LIMIT = 20_000
_SHOWN_TEXT = 400


def job_json(
    job: Job, assets: Sequence[Asset], delivery: Delivery | None, asset_url: Callable[[Asset], str]
) -> dict[str, JsonValue]:
    """Return the job as callers see it."""
    return {
        "jobId": job.id,
        "status": str(job.status),
        "model": job.model_id,
        "mode": job.mode,
        "input": job.input,
        "output": output_json(assets, asset_url) if job.status == JobStatus.COMPLETED else None,
        "assets": [asset_json(asset, asset_url) for asset in assets],
        "creditCost": credits_number(job.shown_cost),
        "error": (
            None if job.error_code is None else {"code": str(job.error_code), "message": job.error_message or ""}
        ),
        "webhook": _webhook_json(job, delivery),
        "createdAt": iso_utc(job.created_at),
        "startedAt": _optional_time(job.started_at),
        "completedAt": _optional_time(job.completed_at),
        "expiresAt": iso_utc(job.expires_at),
    }


def output_json(assets: Sequence[Asset], asset_url: Callable[[Asset], str]) -> dict[str, JsonValue]:
    """Return the addresses by kind: images as a list, video, audio and 3D model as one each."""
    by_kind: dict[str, list[str]] = {}
    for asset in assets:
        by_kind.setdefault(asset.kind, []).append(asset_url(asset))
    output: dict[str, JsonValue] = {}
    for kind, urls in by_kind.items():
        match kind:
            case "image":
                output["images"] = urls
            case "model3d":
                output["model"] = urls[0]
            case _:
                output[kind] = urls[0]
    return output


def asset_json(asset: Asset, asset_url: Callable[[Asset], str]) -> dict[str, JsonValue]:
    """Return one asset as callers see it; members that its kind lacks are null."""
    return {
        "url": asset_url(asset),
        "kind": asset.kind,
        "contentType": asset.content_type,
        "sizeBytes": asset.size_bytes,
        "sha256": asset.sha256,
        "width": asset.width,
        "height": asset.height,
        "durationSeconds": asset.duration_seconds,
    }


def webhook_body(event_type: str, moment: datetime, data: JsonObject) -> str:
    """Return the body of a webhook. Where it would be too long, texts in the job's input are shortened, then the
    input is left out, then the assets, whose addresses are in `output` too.
    """
    body = _event(event_type, moment, data)
    without_input: JsonObject = {**data, "input": {}}
    for shorter in ({**data, "input": _shortened(data["input"])}, without_input, {**without_input, "assets": []}):
        if len(body.encode()) < WEBHOOK_BODY_LIMIT:
            break
        body = _event(event_type, moment, shorter)
    return body


def _event(event_type: str, moment: datetime, data: JsonObject) -> str:
    event = {"type": event_type, "timestamp": iso_utc(moment), "data": data}
    return storable(json.dumps(event, ensure_ascii=False, separators=(",", ":")))


def _webhook_json(job: Job, delivery: Delivery | None) -> JsonValue:
    if job.webhook_url is None:
        return None
    if delivery is None:
        return {"url": job.webhook_url, "status": "waiting", "deliveryId": None, "attempts": 0}
    return {
        "url": delivery.url,
        "status": delivery.status,
        "deliveryId": delivery.id,
        "attempts": delivery.attempt_count,
        "nextAttemptAt": _optional_time(delivery.next_attempt_at),
        "deliveredAt": _optional_time(delivery.delivered_at),
    }


def _optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else iso_utc(moment)


def _shortened(value: JsonValue) -> JsonValue:
    if isinstance(value, str) and len(value) > _SHOWN_TEXT:
        return f"{value[:_SHOWN_TEXT]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {name: _shortened(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shortened(member) for member in value[:20]]
    return value
