"""DashScope as a server on loopback, with the storage that it lends for files.

After Model Studio's pages on Wan, Qwen-Image, error codes and temporary files, and dashscope 2.0.2, which drives it in
tests/providers/test_dashscope_client.py. What a request must look like is in dashscope_requests.py.
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.dashscope_requests import AT_ONCE, check_request, oss_addresses
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_MOMENT: Final = "2026-05-04 12:00:00.000"
_MODERATED: Final = ("DataInspectionFailed", "Input or output data may contain inappropriate content.")
_BROKEN: Final = ("InternalError.Algo", "An internal error has occured during execution.")


def _error(status: int, code: str, message: str) -> tuple[int, object, Mapping[str, str]]:
    return status, {"request_id": "7574ee8f-0000", "code": code, "message": message}, {}


class DashscopeEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/api/v1`."""

    name: ClassVar[str] = "dashscope"
    usual_key: ClassVar[str] = "sk-emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        # Headers for this are not documented; gateways in front of the service may send one.
        Trouble.BUSY: (
            *_error(429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later.")[:2],
            {"Retry-After": str(_BUSY_SECONDS)},
        ),
        Trouble.BUSY_QUIET: _error(429, "Throttling", "Requests throttling triggered."),
        Trouble.AWAY: _error(503, "ServiceUnavailable", "The service is unavailable, please try again later."),
        Trouble.BROKEN: _error(500, "InternalError", "An internal error has occured."),
        Trouble.QUOTA: _error(400, "Arrearage", "Access denied, please make sure your account is in good standing."),
        Trouble.WRONG_KEY: _error(401, "InvalidApiKey", "Invalid API-key provided."),
        Trouble.BAD_INPUT: _error(400, "InvalidParameter", "The prompt is too long."),
    }
    endings: ClassVar[Mapping[Trouble | None, str]] = {
        Trouble.FAILED: "FAILED",
        Trouble.MODERATED: "FAILED",
        # What a task is said to be when nobody knows it, or a day has passed.
        Trouble.STOPPED: "UNKNOWN",
    }

    def __init__(self, kinds: Mapping[str, str], **options: Any) -> None:
        super().__init__(kinds, **options)
        self._granted: dict[str, str] = {}

    def routes(self) -> Sequence[web.RouteDef]:
        # The client's asynchronous half ends addresses with a slash.
        return [
            web.post("/api/v1/{path:services/.+?}{slash:/?}", self._submit),
            web.get("/api/v1/tasks/{id}{slash:/?}", self._get),
            web.post("/api/v1/tasks/{id}/cancel{slash:/?}", self._cancel),
            web.get("/api/v1/uploads", self._grant),
            web.post("/storage", self._store),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        if work.endpoint.endswith(AT_ONCE):
            return 200, {"request_id": work.id, "output": self._result(work), "usage": _usage(work)}
        return 200, {"request_id": work.id, "output": {"task_id": work.id, "task_status": "PENDING"}}

    # What it answers

    async def _submit(self, request: web.Request) -> Answer:
        self._check_key(request)
        body = read_json_object(request, await request.read(), _invalid)
        path, model = request.match_info["path"], body.get("model")
        if not isinstance(model, str):
            raise Refusal(*_error(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.'))
        if not any(endpoint.endswith(f"@{path}") for endpoint in self.kinds):
            raise _invalid("url error, please check url!")
        endpoint = f"{model}@{path}"
        if endpoint not in self.kinds:
            raise Refusal(*_error(404, "ModelNotFound", "Model not exist."))
        _check_mode(request, path)
        check_request(path, model, body, _invalid)
        self._check_uploads(request, model, body)
        parameters = body.get("parameters") or {}
        work = Work(
            id=str(uuid.uuid4()),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments={"input": body["input"], "parameters": parameters},
            wish=self.wish_in(body),
            callback_url=None,
            # Wan's pictures come in fours unless told otherwise.
            count=int(parameters.get("n", 4 if "/image-generation/" in path else 1)),
        )
        if path == AT_ONCE and work.wants(Trouble.MODERATED, Trouble.FAILED):
            raise Refusal(*(_error(400, *_MODERATED) if work.wants(Trouble.MODERATED) else _error(500, *_BROKEN)))
        return await self.take(request, work)

    async def _get(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None:
            output = {"task_id": request.match_info["id"], "task_status": "UNKNOWN"}
            return web.json_response({"request_id": str(uuid.uuid4()), "output": output})
        return await self.asked(request, work) or web.json_response(self._task(work))

    async def _cancel(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None or self._status(work) != "PENDING":
            why = "Failed to cancel the task, please confirm if the task is in PENDING status."
            raise Refusal(*_error(400, "UnsupportedOperation", why))
        work.is_canceled = work.is_done = True
        return web.json_response({"request_id": str(uuid.uuid4())})

    async def _grant(self, request: web.Request) -> Answer:
        """Say where and how a file can be stored for a model."""
        self._check_key(request)
        model = request.query.get("model")
        if request.query.get("action") != "getPolicy" or not model:
            raise _invalid("action and model are required")
        policy = secrets.token_hex(8)
        self._granted[policy] = model
        granted = {
            "policy": policy,
            "signature": f"signed-{policy}",
            "upload_dir": f"dashscope-instant/{policy}",
            "upload_host": f"{self.url}/storage",
            "expire_in_seconds": 300,
            "max_file_size_mb": 100,
            "capacity_limit_mb": 999_999_999,
            "oss_access_key_id": "emulated",
            "x_oss_object_acl": "private",
            "x_oss_forbid_overwrite": "true",
        }
        return web.json_response({"request_id": str(uuid.uuid4()), "data": granted})

    async def _store(self, request: web.Request) -> Answer:
        """Keep a file, as the storage does: for who has a policy, and for nobody's key."""
        if "Authorization" in request.headers or request.content_type != "multipart/form-data":
            raise Refusal(400, {"Code": "InvalidArgument"})
        if self.failing_uploads:
            self.failing_uploads -= 1
            raise Refusal(500, {"Code": "InternalError"})
        form = await request.post()
        policy, key, file = str(form.get("policy")), str(form.get("key")), form.get("file")
        expected = {
            "OSSAccessKeyId": "emulated",
            "Signature": f"signed-{policy}",
            "x-oss-object-acl": "private",
            "x-oss-forbid-overwrite": "true",
            "success_action_status": "200",
        }
        if policy not in self._granted or any(form.get(name) != value for name, value in expected.items()):
            raise Refusal(403, {"Code": "AccessDenied"})
        if not key.startswith(f"dashscope-instant/{policy}/") or not isinstance(file, web.FileField):
            raise Refusal(400, {"Code": "InvalidPolicyDocument"})
        self.uploads[key] = file.file.read()
        return web.Response()

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)

    def _check_uploads(self, request: web.Request, model: str, body: Mapping[str, Any]) -> None:
        """Refuse stored files that are not there, not for this model, or not asked to be looked for."""
        for address in oss_addresses(body):
            key = address.removeprefix("oss://")
            is_ours = key in self.uploads and self._granted[key.split("/")[1]] == model
            if not is_ours or request.headers.get("X-DashScope-OssResourceResolve") != "enable":
                raise Refusal(*_error(400, "InvalidURL", "Invalid URL provided in your request."))

    def _task(self, work: Work) -> Mapping[str, Any]:
        status = self._status(work)
        output: dict[str, Any] = {"task_id": work.id, "task_status": status, "submit_time": _MOMENT}
        if status in {"SUCCEEDED", "FAILED"}:
            output |= {"scheduled_time": _MOMENT, "end_time": _MOMENT}
        if status == "FAILED":
            output["code"], output["message"] = _MODERATED if work.wants(Trouble.MODERATED) else _BROKEN
        if status != "SUCCEEDED":
            return {"request_id": work.id, "output": output}
        return {"request_id": work.id, "output": output | self._result(work), "usage": _usage(work)}

    def _status(self, work: Work) -> str:
        if work.is_canceled:
            return "CANCELED"
        if work.is_done:
            return self.endings.get(work.wish.trouble, "SUCCEEDED")
        if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
            return "HIBERNATING"
        return "RUNNING" if work.polls > 1 else "PENDING"

    def _result(self, work: Work) -> dict[str, Any]:
        """The output, where the service that was asked puts it."""
        urls = self.file_urls(work)
        kept = urls[1:] if work.wants(Trouble.PARTIAL) else urls
        if "multimodal-generation" in work.endpoint or "/image-generation/" in work.endpoint:
            contents = [{"type": "image", "image": url} for url in kept]
            message = {"role": "assistant", "content": contents}
            return {"choices": [{"finish_reason": "stop", "message": message}]}
        if work.kind == "video":
            where = "animate" in work.endpoint and {"results": {"video_url": urls[0]} if urls else {}}
            return where or {"video_url": urls[0] if urls else "", "orig_prompt": "a lantern"}
        failed = {"code": _MODERATED[0], "message": _MODERATED[1]}
        metrics = {"TOTAL": len(urls), "SUCCEEDED": len(kept), "FAILED": len(urls) - len(kept)}
        results = [{"url": url} for url in kept] + [failed] * (len(urls) - len(kept))
        return {"results": results, "task_metrics": metrics}


def _check_mode(request: web.Request, path: str) -> None:
    """Refuse what a service does not do: tasks here, answers at once there."""
    is_task = request.headers.get("X-DashScope-Async") == "enable"
    if is_task == (path == AT_ONCE):
        kind = "asynchronous" if is_task else "synchronous"
        raise Refusal(*_error(403, "AccessDenied", f"current user api does not support {kind} calls."))


def _usage(work: Work) -> Mapping[str, Any]:
    if work.kind == "video":
        return {"video_count": 1, "duration": 5, "SR": 720, "ratio": "16:9"}
    return {"image_count": work.count}


def _invalid(message: str) -> Refusal:
    return Refusal(*_error(400, "InvalidParameter", message))
