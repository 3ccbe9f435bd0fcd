"""WaveSpeedAI's predictions as a server on loopback.

After wavespeed.ai/docs (predictions, error codes, webhooks, media upload) and wavespeed 2.0.5, which drives it in
tests/providers/test_wavespeed_client.py. What an endpoint takes is in published/wavespeed.json, as far as its page was
seen.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.schemas import published
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_LARGEST_FILE: Final = 200 * 1024 * 1024
_MOMENT: Final = "2026-05-04T12:00:00.000000000Z"
_SENSITIVE: Final = "Content flagged as potentially sensitive. Please try different prompts or images."
_MEDIA: Final = frozenset(
    {
        *("image", "images", "last_image", "reference_images", "video", "videos", "reference_videos"),
        *("audio", "audios", "reference_audios", "background"),
    }
)
# The task's status, its error code (wavespeed.ai/docs/error-codes) and what it says.
_ENDINGS: Final[Mapping[Trouble | None, tuple[str, int, str]]] = {
    Trouble.FAILED: ("failed", 5000, "Internal error"),
    Trouble.MODERATED: ("failed", 1200, _SENSITIVE),
    Trouble.STOPPED: ("cancelled", 0, "The task was cancelled"),
}


def _error(status: int, message: str, **headers: str) -> tuple[int, object, Mapping[str, str]]:
    return status, {"code": status, "message": message, "data": None}, headers


class WaveSpeedEmulator(Emulator):
    """The service."""

    name: ClassVar[str] = "wavespeed"
    usual_key: ClassVar[str] = "wsk_emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: _error(429, "too many requests", **{"Retry-After": str(_BUSY_SECONDS)}),
        Trouble.BUSY_QUIET: _error(429, "too many requests"),
        Trouble.AWAY: _error(503, "service unavailable"),
        Trouble.BROKEN: _error(500, "internal server error"),
        Trouble.QUOTA: _error(403, "Insufficient credits. Please top up"),
        Trouble.WRONG_KEY: _error(401, "unauthorized"),
        Trouble.BAD_INPUT: _error(400, "property prompt: too long"),
    }

    def __init__(self, kinds: Mapping[str, str], **options: Any) -> None:
        super().__init__(kinds, **options)
        self._schemas = published("wavespeed", "enable_sync_mode?", "enable_base64_output?")
        self._sizes: dict[str, int] = {}
        self.renew_keys()

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.get("/api/v3/webhook/secret", self._give_secret),
            web.get("/api/v3/predictions/{id}/result", self._result),
            web.post("/api/v3/media/upload/binary", self._upload),
            web.post("/api/v3/media/uploads", self._give_ticket),
            web.put("/storage/{id}", self._store),
            web.post("/api/v3/{endpoint:.+}", self._submit),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        if work.arguments.get("enable_sync_mode"):
            self.finish(work)
        return 200, _success(self._prediction(work))

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        body = json.dumps(self._prediction(work)).encode()
        timestamp = str(int(at.timestamp()))
        # The text behind the prefix is the key itself, and the digest is in hexadecimal.
        key = (secrets.token_hex() if forged else self.secret.removeprefix("whsec_")).encode()
        digest = hmac.digest(key, f"{work.id}.{timestamp}.".encode() + body, "sha256").hex()
        return {"webhook-id": work.id, "webhook-timestamp": timestamp, "webhook-signature": f"v3,{digest}"}, body

    # What it answers

    def renew_keys(self) -> None:
        self.secret = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"

    async def _give_secret(self, request: web.Request) -> Answer:
        self._check_key(request)
        self.keys_given += 1
        return web.json_response(_success({"secret": self.secret}))

    async def _submit(self, request: web.Request) -> Answer:
        self._check_key(request)
        endpoint = request.match_info["endpoint"]
        if endpoint not in self.kinds:
            raise Refusal(*_error(404, "model not found"))
        arguments = read_json_object(request, await request.read(), lambda why: Refusal(*_error(400, why)))
        problem = self._schemas.problem_of(endpoint, arguments)
        if problem is not None:
            raise Refusal(*_error(400, f"property {problem[0]}: {problem[1]}"))
        _check_media(arguments)
        callback_url = request.query.get("webhook")
        if set(request.query) - {"webhook"} or not (callback_url or "https://").startswith("https://"):
            raise Refusal(*_error(400, "the query holds webhook, an https URL, and nothing else"))
        work = Work(
            id=secrets.token_hex(16),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments=arguments,
            wish=self.wish_in(arguments),
            callback_url=callback_url,
            count=self.count_in(arguments),
        )
        return await self.take(request, work)

    async def _result(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None:
            raise Refusal(*_error(404, "prediction not found"))
        return await self.asked(request, work) or web.json_response(_success(self._prediction(work)))

    async def _upload(self, request: web.Request) -> Answer:
        """Take a file in one step."""
        self._check_key(request)
        if request.content_type != "multipart/form-data":
            raise Refusal(*_error(400, "file is required, as multipart/form-data"))
        self._fail_upload()
        part = (await request.post()).get("file")
        if not isinstance(part, web.FileField) or part.content_type.partition("/")[0] not in {
            "image",
            "video",
            "audio",
        }:
            raise Refusal(*_error(400, "file must be an image, a video or a sound"))
        file_id, content = secrets.token_hex(16), part.file.read()
        self.uploads[file_id] = content
        return web.json_response(_success(_uploaded(file_id, part.filename, len(content), part.content_type)))

    async def _give_ticket(self, request: web.Request) -> Answer:
        """Say where a file goes: the newer way, of two steps."""
        self._check_key(request)
        wanted = read_json_object(request, await request.read(), lambda why: Refusal(*_error(400, why)))
        self._fail_upload()
        size = wanted.get("size")
        if not wanted.get("filename") or not isinstance(size, int) or not 0 < size <= _LARGEST_FILE:
            raise Refusal(*_error(400, "filename and size are required, and a file has at most 200 MB"))
        file_id, content_type = secrets.token_hex(16), str(wanted.get("content_type", "application/octet-stream"))
        self._sizes[file_id] = size
        put = {
            "method": "PUT",
            "url": f"{self.named_url}/storage/{file_id}",
            "headers": {"Content-Type": content_type},
        }
        described = _uploaded(file_id, str(wanted["filename"]), size, content_type)
        return web.json_response(_success({**described, "upload": put}))

    async def _store(self, request: web.Request) -> Answer:
        """The storage: it wants no key, and the size that was said."""
        file_id, content = request.match_info["id"], await request.read()
        if "Authorization" in request.headers or self._sizes.get(file_id) != len(content):
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        self.uploads[file_id] = content
        return web.Response(status=200)

    def _fail_upload(self) -> None:
        if self.failing_uploads:
            self.failing_uploads -= 1
            raise self.refusal_of(Trouble.BROKEN)

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)

    def _prediction(self, work: Work) -> Mapping[str, Any]:
        status, code, error = self._state(work)
        outputs = self.file_urls(work) if status == "completed" else []
        return {
            "id": work.id,
            "model": work.endpoint,
            "status": status,
            "code": code,
            "error": error,
            "outputs": outputs,
            "urls": {"get": f"{self.named_url}/api/v3/predictions/{work.id}/result"},
            "has_nsfw_contents": [False] * len(outputs),
            "created_at": _MOMENT,
            "timings": {"inference": 6_710 if work.is_done else 0},
        }

    def _state(self, work: Work) -> tuple[str, int, str]:
        if work.is_done:
            return _ENDINGS.get(work.wish.trouble, ("completed", 0, ""))
        if work.arguments.get("enable_sync_mode") and not work.polls:
            return "processing", 5004, "Sync mode timed out. The prediction is still processing asynchronously."
        if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
            return "hibernating", 0, ""
        return ("processing" if work.polls > 1 else "created"), 0, ""


def _success(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"code": 200, "message": "success", "data": data}


def _uploaded(file_id: str, name: str, size: int, content_type: str) -> Mapping[str, Any]:
    return {
        "type": content_type.partition("/")[0],
        "download_url": f"https://static.wavespeed.ai/media/{file_id}/{name}",
        "filename": name,
        "size": size,
    }


def _check_media(arguments: Mapping[str, Any]) -> None:
    """Refuse addresses that WaveSpeed could not fetch, and content, which only some models take."""
    for name in sorted(_MEDIA & arguments.keys()):
        value = arguments[name]
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, str) or not item.startswith("https://"):
                raise Refusal(*_error(400, f"property {name}: must be a URL that can be fetched"))
