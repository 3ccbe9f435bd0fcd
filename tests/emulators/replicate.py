"""Replicate's predictions as a server on loopback.

After Replicate's OpenAPI 1.0.0-a1, replicate.com/docs and replicate 1.0.7, which drives it in
tests/providers/test_replicate_client.py.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_QUIET_BUSY_SECONDS: Final = 3
_KNOWN_MEMBERS: Final = frozenset({"input", "webhook", "webhook_events_filter", "stream"})
_EVENTS: Final = frozenset({"start", "output", "logs", "completed"})
_VERSION = re.compile(r"[0-9a-f]{64}")
_MOMENT: Final = "2026-05-04T12:00:00.000000Z"
_LARGEST_FILE: Final = 100 * 1024 * 1024


def _problem(status: int, title: str, detail: str) -> tuple[int, object, Mapping[str, str]]:
    body = {"type": "https://replicate.com/docs", "title": title, "status": status, "detail": detail, "instance": "/"}
    return status, body, {}


class ReplicateEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/v1`."""

    name: ClassVar[str] = "replicate"
    usual_key: ClassVar[str] = "r8_emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: (429, {"detail": "Request was throttled."}, {"Retry-After": str(_BUSY_SECONDS)}),
        Trouble.BUSY_QUIET: (
            429,
            {"detail": f"Request was throttled. Your rate limit resets in ~{_QUIET_BUSY_SECONDS}s."},
            {},
        ),
        Trouble.AWAY: _problem(503, "Service unavailable", "Please try again later."),
        Trouble.BROKEN: _problem(500, "Internal server error", "Something went wrong."),
        Trouble.QUOTA: _problem(402, "Insufficient credit", "You have insufficient credit to run this model."),
        Trouble.WRONG_KEY: _problem(401, "Unauthenticated", "You did not pass a valid authentication token"),
        Trouble.BAD_INPUT: _problem(422, "Input validation failed", "- input.prompt: is too long\n"),
    }
    endings: ClassVar[Mapping[Trouble | None, tuple[str, str | None]]] = {
        Trouble.FAILED: ("failed", "CUDA out of memory"),
        Trouble.MODERATED: ("failed", "The input or output was flagged as sensitive. Please try again. (E005)"),
        Trouble.STOPPED: ("aborted", None),
    }

    def __init__(self, kinds: Mapping[str, str], **options: Any) -> None:
        super().__init__(kinds, **options)
        self.secret = secrets.token_bytes(32)
        self._versions = {name.partition(":")[2]: kind for name, kind in kinds.items() if ":" in name}

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/v1/predictions", self._submit_version),
            web.post("/v1/models/{owner}/{name}/predictions", self._submit_model),
            web.get("/v1/models/{owner}/{name}/versions/{version}", self._get_version),
            web.get("/v1/predictions/{id}", self._get),
            web.post("/v1/predictions/{id}/cancel", self._cancel),
            web.post("/v1/files", self._upload),
            web.get("/v1/webhooks/default/secret", self._give_secret),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        return 201, self._prediction(work)

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        body = json.dumps(self._prediction(work)).encode()
        webhook_id, timestamp = f"msg_{work.id}", str(int(at.timestamp()))
        key = bytes(32) if forged else self.secret
        digest = hmac.digest(key, f"{webhook_id}.{timestamp}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}, body

    # What it answers

    def renew_keys(self) -> None:
        self.secret = secrets.token_bytes(32)

    async def _give_secret(self, request: web.Request) -> Answer:
        self._check_key(request)
        self.keys_given += 1
        return web.json_response({"key": f"whsec_{base64.b64encode(self.secret).decode()}"})

    async def _get_version(self, request: web.Request) -> Answer:
        self._check_key(request)
        version = request.match_info["version"]
        if f"{request.match_info['owner']}/{request.match_info['name']}:{version}" not in self.kinds:
            raise Refusal(*_problem(404, "Not found", "The requested resource could not be found."))
        described = {"id": version, "created_at": _MOMENT, "cog_version": "0.14.0", "openapi_schema": {}}
        return web.json_response(described)

    async def _submit_model(self, request: web.Request) -> Answer:
        endpoint = f"{request.match_info['owner']}/{request.match_info['name']}"
        self._check_key(request)
        if endpoint not in self.kinds:
            raise Refusal(*_problem(404, "Not found", "The requested resource could not be found."))
        body = read_json_object(request, await request.read(), _invalid)
        return await self._submit(request, body, endpoint, self.kinds[endpoint], _KNOWN_MEMBERS)

    async def _submit_version(self, request: web.Request) -> Answer:
        self._check_key(request)
        body = read_json_object(request, await request.read(), _invalid)
        version = body.get("version")
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            raise _invalid("- version is required, as 64 hexadecimal digits\n")
        if version not in self._versions:
            raise Refusal(*_problem(422, "Invalid version or not permitted", "The specified version does not exist."))
        return await self._submit(request, body, version, self._versions[version], _KNOWN_MEMBERS | {"version"})

    async def _submit(
        self, request: web.Request, body: Mapping[str, Any], endpoint: str, kind: str, known: frozenset[str]
    ) -> Answer:
        _check_body(body, known)
        arguments = body["input"]
        work = Work(
            id=secrets.token_hex(13),
            endpoint=endpoint,
            kind=kind,
            arguments=arguments,
            wish=self.wish_in(arguments),
            callback_url=body.get("webhook"),
            count=self.count_in(arguments),
        )
        return await self.take(request, work)

    async def _get(self, request: web.Request) -> Answer:
        work = self._work(request)
        return await self.asked(request, work) or web.json_response(self._prediction(work))

    async def _cancel(self, request: web.Request) -> Answer:
        work = self._work(request)
        if not work.is_done:
            work.is_canceled = work.is_done = True
        return web.json_response(self._prediction(work))

    async def _upload(self, request: web.Request) -> Answer:
        self._check_key(request)
        if request.content_type != "multipart/form-data":
            raise _invalid("- content is required, as multipart/form-data\n")
        if self.failing_uploads:
            self.failing_uploads -= 1
            raise self.refusal_of(Trouble.BROKEN)
        part = (await request.post()).get("content")
        if not isinstance(part, web.FileField):
            raise _invalid("- content is required, as a file\n")
        content = part.file.read()
        if len(content) > _LARGEST_FILE:
            raise Refusal(*_problem(413, "Content too large", "A file has at most 100 MB."))
        file_id = secrets.token_hex(13)
        self.uploads[file_id] = content
        described = {
            "id": file_id,
            "name": part.filename,
            "content_type": part.content_type,
            "size": len(content),
            "etag": file_id,
            "checksums": {"sha256": hashlib.sha256(content).hexdigest()},
            "metadata": {},
            "created_at": _MOMENT,
            "expires_at": _MOMENT,
            "urls": {"get": f"https://api.replicate.com/v1/files/{file_id}"},
        }
        return web.json_response(described, status=201)

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)

    def _work(self, request: web.Request) -> Work:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None:
            raise Refusal(*_problem(404, "Not found", "The requested resource could not be found."))
        return work

    def _prediction(self, work: Work) -> Mapping[str, Any]:
        base = f"{self.named_url}/v1/predictions/{work.id}"
        status, error = self._state(work)
        is_good = status == "succeeded"
        return {
            "id": work.id,
            "model": work.endpoint,
            "version": "hidden",
            "input": work.arguments,
            "output": self._output(work) if is_good else None,
            "logs": "" if work.polls < 2 else " 50%|█████     | 5/10 [00:01<00:01]\n",
            "error": error,
            "status": status,
            "source": "api",
            "data_removed": False,
            "created_at": _MOMENT,
            "started_at": _MOMENT if work.polls else None,
            "completed_at": datetime.now(UTC).isoformat() if work.is_done else None,
            "metrics": {"predict_time": 1.25, "total_time": 1.5} if status in {"succeeded", "failed"} else {},
            "urls": {"get": base, "cancel": f"{base}/cancel", "web": base, "stream": base},
        }

    def _state(self, work: Work) -> tuple[str, str | None]:
        if work.is_canceled:
            return "canceled", None
        if not work.is_done:
            if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
                return "hibernating", None
            return ("processing" if work.polls > 1 else "starting"), None
        return self.endings.get(work.wish.trouble, ("succeeded", None))

    def _output(self, work: Work) -> object:
        """Official models answer with one address where they make one file, with a list where they may make more."""
        urls = self.file_urls(work)
        if work.wants(Trouble.PARTIAL):
            urls = urls[1:]
        return urls[0] if len(urls) == 1 and work.count == 1 else urls


def _check_body(body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Refuse what Replicate's API refuses before a model sees it."""
    unknown = sorted(set(body) - known)
    if unknown:
        raise _invalid("".join(f"- Additional property {name} is not allowed\n" for name in unknown))
    if not isinstance(body.get("input"), dict):
        raise _invalid("- input is required\n")
    webhook = body.get("webhook")
    if webhook is not None and not str(webhook).startswith("https://"):
        raise _invalid("- webhook: must be an HTTPS URL\n")
    if not set(body.get("webhook_events_filter", ())) <= _EVENTS:
        raise _invalid("- webhook_events_filter: unknown event\n")


def _invalid(detail: str) -> Refusal:
    return Refusal(*_problem(422, "Input validation failed", detail))
