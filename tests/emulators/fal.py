"""fal's queue as a server on loopback, with the addresses of rest.fal.ai that its callbacks need.

After fal.ai/docs and docs.fal.ai (queue, webhooks, errors) and fal-client 1.0.3, which drives it in
tests/providers/test_fal_client.py.
"""

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema_rs import Draft202012Validator
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_MEDIA_MEMBER = re.compile(r"(?:^|_)(?:image|video|audio|mask|end_image|start_image)(?:_url|_urls)?$|_urls?$")


@cache
def published_types() -> Mapping[str, Any]:
    """Return the types of the endpoints that fal's JavaScript client knows, as published/fal_types.py wrote them."""
    found: Mapping[str, Any] = json.loads(
        (Path(__file__).parent / "published" / "fal.json").read_text(encoding="utf-8")
    )
    return found


def _unfit(where: Sequence[str], message: str, kind: str) -> tuple[int, object, Mapping[str, str]]:
    """Return how a model refuses its input."""
    entry = {"loc": list(where), "msg": message, "type": kind, "url": f"https://docs.fal.ai/errors#{kind}", "input": ""}
    return 422, {"detail": [entry]}, {"X-Fal-Retryable": "false"}


def _request_error(status: int, message: str, kind: str) -> tuple[int, object, Mapping[str, str]]:
    """Return how the queue words an error of its own."""
    return status, {"detail": message, "error_type": kind}, {"X-Fal-Error-Type": kind}


class FalEmulator(Emulator):
    """The service."""

    name: ClassVar[str] = "fal"
    usual_key: ClassVar[str] = "emulated-id:emulated-secret"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: (429, {"detail": "Too many requests"}, {"Retry-After": str(_BUSY_SECONDS)}),
        Trouble.BUSY_QUIET: (429, {"detail": "Too many requests"}, {}),
        Trouble.AWAY: _request_error(503, "No runner available", "runner_scheduling_failure"),
        Trouble.BROKEN: _request_error(500, "Internal error", "internal_error"),
        Trouble.QUOTA: (403, {"detail": "User is locked. Reason: Exhausted balance."}, {}),
        Trouble.WRONG_KEY: (401, {"detail": "Cannot access application. Authentication is required."}, {}),
        Trouble.BAD_INPUT: _unfit(["body", "prompt"], "the prompt is too long", "value_error"),
    }

    def __init__(self, kinds: Mapping[str, str], **options: Any) -> None:
        super().__init__(kinds, **options)
        self.signing_key = Ed25519PrivateKey.generate()
        self._forger = Ed25519PrivateKey.generate()
        self._validators: dict[str, Draft202012Validator] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        """The queue's addresses; an app is `owner/alias`, or `workflows/owner/alias`."""
        app = "/{app:(?:workflows/|comfy/)?[^/]+/[^/]+}/requests/{id}"
        return [
            web.get("/.well-known/jwks.json", self._keys),
            web.get(app + "/status", self._status),
            web.put(app + "/cancel", self._cancel),
            web.get(app, self._result),
            web.post("/{endpoint:.+}", self._submit),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        base = f"{self.named_url}/{_app_of(work.endpoint)}/requests/{work.id}"
        return 200, {
            "status": "IN_QUEUE",
            "request_id": work.id,
            "response_url": base,
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
            "queue_position": 0,
        }

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        failed = self._error(work)
        payload = failed.body if failed else self._payload(work)
        body = json.dumps(
            {
                "request_id": work.id,
                "gateway_request_id": work.id,
                "status": "ERROR" if failed else "OK",
                "error": "failed" if failed else None,
                "payload": payload,
            }
        ).encode()
        timestamp = str(int(at.timestamp()))
        signed = "\n".join([work.id, "emulated-user", timestamp, hashlib.sha256(body).hexdigest()]).encode()
        key = self._forger if forged else self.signing_key
        return {
            "X-Fal-Webhook-Request-Id": work.id,
            "X-Fal-Webhook-User-Id": "emulated-user",
            "X-Fal-Webhook-Timestamp": timestamp,
            "X-Fal-Webhook-Signature": key.sign(signed).hex(),
        }, body

    # What it answers

    def renew_keys(self) -> None:
        self.signing_key = Ed25519PrivateKey.generate()

    async def _keys(self, _request: web.Request) -> Answer:
        self.keys_given += 1
        public = self.signing_key.public_key().public_bytes_raw()
        encoded = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        return web.json_response({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": encoded}]})

    async def _submit(self, request: web.Request) -> Answer:
        self._check_key(request)
        endpoint = request.match_info["endpoint"]
        if endpoint not in self.kinds:
            raise Refusal(404, {"detail": f"Application '{endpoint}' not found"})
        arguments = read_json_object(request, await request.read(), _bad_request)
        unknown = set(request.query) - {"fal_webhook"}
        if unknown:
            raise _bad_request(f"unknown query parameters: {sorted(unknown)}")
        callback_url = request.query.get("fal_webhook")
        if callback_url is not None and not callback_url.startswith("https://"):
            raise _bad_request("fal_webhook is no https address")
        self._check_types(endpoint, arguments)
        _check_media(arguments)
        work = Work(
            id=str(uuid.uuid4()),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments=arguments,
            wish=self.wish_in(arguments),
            callback_url=callback_url,
            count=self.count_in(arguments),
        )
        return await self.take(request, work)

    async def _status(self, request: web.Request) -> Answer:
        work = self._work(request)
        replaced = await self.asked(request, work)
        if replaced is not None:
            return replaced
        logs: list[object] = []
        if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
            return web.json_response({"status": "HIBERNATING", "logs": logs, "queue_position": 0}, status=202)
        if not work.is_done:
            if work.polls == 1:
                return web.json_response({"status": "IN_QUEUE", "queue_position": 0, "logs": logs}, status=202)
            return web.json_response({"status": "IN_PROGRESS", "logs": logs}, status=202)
        answer: dict[str, Any] = {"status": "COMPLETED", "logs": logs, "metrics": {"inference_time": 1.25}}
        failed = self._error(work)
        if failed is not None:
            answer |= {"error": "the request failed", "error_type": failed.headers.get("X-Fal-Error-Type", "model")}
        return web.json_response(answer)

    async def _result(self, request: web.Request) -> Answer:
        work = self._work(request)
        if not work.is_done:
            raise Refusal(400, {"detail": "Request is still in progress"})
        failed = self._error(work)
        if failed is not None:
            raise failed
        return web.json_response(self._payload(work))

    async def _cancel(self, request: web.Request) -> Answer:
        work = self._work(request)
        if work.is_done:
            raise Refusal(400, {"status": "ALREADY_COMPLETED"})
        work.is_canceled = work.is_done = True
        return web.json_response({"status": "CANCELLATION_REQUESTED"}, status=202)

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Key {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)

    def _check_types(self, endpoint: str, arguments: Mapping[str, Any]) -> None:
        """Refuse what does not fit the published type; strictly, for fal itself ignores members it does not know."""
        types = published_types()
        if endpoint not in types["endpoints"]:
            return
        if endpoint not in self._validators:
            given, _made = types["endpoints"][endpoint]
            schema = {"$ref": f"#/definitions/{given}", "definitions": types["definitions"]}
            self._validators[endpoint] = Draft202012Validator(schema)
        for problem in self._validators[endpoint].iter_errors(arguments):
            raise Refusal(*_unfit(["body", *map(str, problem.instance_path)], problem.message, "type_error"))

    def _work(self, request: web.Request) -> Work:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None or _app_of(work.endpoint) != request.match_info["app"]:
            raise Refusal(404, {"status": "NOT_FOUND", "detail": "Request not found"})
        return work

    def _payload(self, work: Work) -> Mapping[str, Any]:
        """The model's output, as its page says."""
        files = [{"url": url, "content_type": "application/octet-stream"} for url in self.file_urls(work)]
        if work.kind == "image":
            flags = [work.wants(Trouble.MODERATED)] * len(files)
            if work.wants(Trouble.PARTIAL) and flags:
                flags[0] = True
            return {"images": files, "seed": 7, "has_nsfw_concepts": flags, "timings": {"inference": 1.25}}
        member = {"video": "video", "audio": "audio", "model3d": "model_glb"}[work.kind]
        return {member: files[0] if files else None, "seed": 7}

    def _error(self, work: Work) -> Refusal | None:
        """How a request that failed is answered where its result would be."""
        if work.is_canceled or work.wants(Trouble.STOPPED):
            return Refusal(*_request_error(499, "Request was cancelled", "client_cancelled"))
        if work.wants(Trouble.FAILED):
            return Refusal(*_unfit(["body"], "Downstream service error", "downstream_service_error"))
        if work.wants(Trouble.MODERATED) and work.kind != "image":
            message = "The content could not be processed because it contained material flagged by a content checker."
            return Refusal(*_unfit(["body", "prompt"], message, "content_policy_violation"))
        return None


def _app_of(endpoint: str) -> str:
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in {"workflows", "comfy"} else 2])


def _bad_request(why: str) -> Refusal:
    return Refusal(*_request_error(400, why, "bad_request"))


def _check_media(arguments: Mapping[str, Any]) -> None:
    """Refuse addresses that fal could not fetch."""
    for name, value in arguments.items():
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str) or not _MEDIA_MEMBER.search(name):
                continue
            if not item.startswith(("https://", "data:")):
                raise Refusal(*_unfit(["body", name], "Failed to download the file", "file_download_error"))
