"""Magnific's tasks, as a server on loopback.

There is no client of its own that could prove it. The shapes are those recorded from docs.magnific.com and
docs.freepik.com (task pages, upload files, webhooks) and from public clients of the service, November 2026; what an
endpoint takes is in published/magnific.json.
"""

import base64
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.schemas import published
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_MOST_UPLOADS: Final = 14
_LENGTH_HEADER: Final = "x-goog-content-length-range"
_LENGTHS: Final = "0,1073741824"
_UPLOAD_TYPES: Final = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "video/mp4", "video/webm", "video/quicktime"),
        *("audio/mpeg", "audio/wav", "audio/mp4", "audio/ogg"),
    }
)
ASKED_ELSEWHERE: Final[Mapping[str, str]] = {
    "image-to-video/kling-elements-pro": "image-to-video/kling-elements",
    "image-to-video/kling-o1-std": "image-to-video/kling-o1",
    "image-to-video/kling-pro": "image-to-video/kling",
    "image-to-video/kling-std": "image-to-video/kling",
    "image-to-video/kling-v2-6-pro": "image-to-video/kling-v2-6",
    "reference-to-video/kling-v3-omni-pro": "reference-to-video/kling-v3-omni",
    "video-upscaler/turbo": "video-upscaler",
    "video/kling-v2-6-motion-control-std": "image-to-video/kling-v2-6",
    "video/kling-v3-omni-std": "video/kling-v3-omni",
    "video/kling-v3-pro": "video/kling-v3",
    "video/seedance-2-fast-480p": "video/seedance-2-fast",
    "video/seedance-2-mini-720p": "video/seedance-2-mini",
    "video/seedance-2-pro-1080p": "video/seedance-2-pro",
}
"""Endpoints whose tasks are asked about under another path, by the index of docs.magnific.com."""


def _error(status: int, message: str) -> tuple[int, object, Mapping[str, str]]:
    return status, {"message": message}, {}


def _invalid(name: str, reason: str) -> tuple[int, object, Mapping[str, str]]:
    problem = {"message": "Validation error", "invalid_params": [{"name": name, "reason": reason}]}
    return 400, {"problem": problem}, {}


class MagnificEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/v1`."""

    name: ClassVar[str] = "magnific"
    usual_key: ClassVar[str] = "FPSXemulated"
    secret: ClassVar[str] = "emulated-secret-from-the-dashboard"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: (429, {"message": "Too many requests"}, {"Retry-After": str(_BUSY_SECONDS)}),
        Trouble.BUSY_QUIET: _error(429, "Too many requests"),
        Trouble.AWAY: _error(503, "Service Unavailable. Please try again later."),
        Trouble.BROKEN: _error(500, "Internal server error"),
        Trouble.QUOTA: _error(400, "Error consuming credits"),
        Trouble.WRONG_KEY: _error(401, "Unauthorized"),
        Trouble.BAD_INPUT: _invalid("body.prompt", "must be shorter"),
    }

    def __init__(self, kinds: Mapping[str, str], *, key_header: str = "x-magnific-api-key", **options: Any) -> None:
        super().__init__(kinds, **options)
        self._key_header = key_header
        self._schemas = published("magnific", "webhook_url")

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/v1/ai/uploads/request-url", self._request_upload),
            web.put("/storage/{id}", self._store),
            web.post("/v1/ai/{endpoint:.+}", self._submit),
            web.get("/v1/ai/{path:.+}/{id}", self._get),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        return 200, {"data": self._task(work)}

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        """Sign with the secret's own text; a second signature is of a secret on its way out."""
        body = json.dumps(self._task(work)).encode()
        webhook_id, timestamp = f"msg_{work.id}", str(int(at.timestamp()))
        signed = f"{webhook_id}.{timestamp}.".encode() + body
        keys = [secrets.token_bytes(24), secrets.token_bytes(24) if forged else self.secret.encode()]
        digests = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
        signature = " ".join(f"v{number},{digest}" for number, digest in enumerate(digests, 1))
        return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}, body

    # What it answers

    async def _submit(self, request: web.Request) -> Answer:
        self._check_key(request)
        endpoint = request.match_info["endpoint"]
        if endpoint not in self.kinds:
            raise Refusal(*_error(404, "Not found"))
        body = read_json_object(request, await request.read(), lambda why: Refusal(*_error(400, why)))
        problem = self._schemas.problem_of(endpoint, body)
        if problem is not None:
            raise Refusal(*_invalid(f"body.{problem[0]}", problem[1]))
        arguments = {name: value for name, value in body.items() if name != "webhook_url"}
        _check_media(arguments)
        callback_url = body.get("webhook_url")
        if callback_url is not None and not callback_url.startswith("https://"):
            raise Refusal(*_invalid("body.webhook_url", "must be an https URL"))
        work = Work(
            id=str(uuid.uuid4()),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments=arguments,
            wish=self.wish_in(arguments),
            callback_url=callback_url,
            count=1,
        )
        return await self.take(request, work)

    async def _get(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None or ASKED_ELSEWHERE.get(work.endpoint, work.endpoint) != request.match_info["path"]:
            raise Refusal(*_error(404, "Task not found"))
        return await self.asked(request, work) or web.json_response({"data": self._task(work)})

    async def _request_upload(self, request: web.Request) -> Answer:
        self._check_key(request)
        body = read_json_object(request, await request.read(), lambda why: Refusal(*_error(400, why)))
        if self.failing_uploads:
            self.failing_uploads -= 1
            raise self.refusal_of(Trouble.BROKEN)
        files = body.get("files")
        if not isinstance(files, list) or not 1 <= len(files) <= _MOST_UPLOADS or set(body) != {"files"}:
            raise Refusal(*_invalid("body.files", f"must be 1 to {_MOST_UPLOADS} files"))
        return web.json_response({"files": [self._ticket(file) for file in files]})

    def _ticket(self, file: Mapping[str, Any]) -> Mapping[str, Any]:
        if set(file) != {"content_type"} or file["content_type"] not in _UPLOAD_TYPES:
            raise Refusal(*_invalid("body.files[0].content_type", f"must be one of {sorted(_UPLOAD_TYPES)}"))
        file_id = str(uuid.uuid4())
        return {
            "file_id": file_id,
            "upload_url": f"{self.named_url}/storage/{file_id}?X-Goog-Signature={self._signature(file_id, file)}",
            "headers": {"Content-Type": file["content_type"], _LENGTH_HEADER: _LENGTHS},
            "expires_in": 120,
            "asset_url": f"https://uploads.magnific.com/{file_id}?signature=emulated",
            "asset_url_expires_in": 86_400,
        }

    async def _store(self, request: web.Request) -> Answer:
        """The storage, which knows no key: what it lets in is what was signed."""
        file_id = request.match_info["id"]
        sent = {"content_type": request.headers.get("Content-Type")}
        is_signed = request.query.get("X-Goog-Signature") == self._signature(file_id, sent)
        if not is_signed or request.headers.get(_LENGTH_HEADER) != _LENGTHS:
            return web.Response(status=403, text="<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if self._key_header in request.headers:
            return web.Response(status=400, text="<Error><Code>ExcessHeaderValues</Code></Error>")
        self.uploads[file_id] = await request.read()
        return web.Response(status=200)

    def _signature(self, file_id: str, file: Mapping[str, Any]) -> str:
        return hmac.digest(self.secret.encode(), f"{file_id} {file['content_type']}".encode(), "sha256").hex()

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get(self._key_header) != self.key:
            raise self.refusal_of(Trouble.WRONG_KEY)

    def _task(self, work: Work) -> Mapping[str, Any]:
        status = self._status(work)
        task: dict[str, Any] = {"task_id": work.id, "status": status, "generated": []}
        if status == "COMPLETED":
            task["generated"] = self.file_urls(work)
            task["has_nsfw"] = [work.wants(Trouble.MODERATED)] * len(task["generated"])
        if status == "FAILED":
            task["error"] = None
        return task

    def _status(self, work: Work) -> str:
        if not work.is_done:
            if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
                return "HIBERNATING"
            return "IN_PROGRESS" if work.polls else "CREATED"
        return "FAILED" if work.wants(Trouble.FAILED) else "COMPLETED"


def _check_media(arguments: Mapping[str, Any]) -> None:
    """Refuse what is neither an address nor base64."""
    for name, value in arguments.items():
        if name != "image" and not name.endswith("_url"):
            continue
        if not value.startswith("https://") and (name != "image" or not _is_base64(value)):
            raise Refusal(*_invalid(f"body.{name}", "must be a publicly accessible HTTPS URL or base64"))


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except ValueError:
        return False
