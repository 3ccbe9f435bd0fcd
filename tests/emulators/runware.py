"""Runware's task API as a server on loopback.

After runware.ai/docs (task polling, webhooks, errors, media storage) and runware-sdk 1.8.0, which drives it in
tests/providers/test_runware_client.py. What a model takes is what that client's types say, in published/runware.json.
One task that makes something a request; the service itself takes several.
"""

import base64
import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work
from tests.emulators.schemas import published
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_PICTURE: Final = re.compile(r"https://\S+|data:image/(?:png|jpeg|webp);base64,[A-Za-z0-9+/]+=*")
_MEDIUM: Final = re.compile(r"https://\S+")
_STORED: Final = "https://im.runware.ai/media/"
# Of a task, what is particular to one sending of it.
_PARTICULAR: Final = frozenset({"taskUUID", "webhookURL", "deliveryMethod", "outputType", "includeCost"})


def _error(status: int, code: str, message: str, **more: str) -> tuple[int, object, Mapping[str, str]]:
    entry = {"code": code, "message": message, **more, "documentation": "https://runware.ai/docs/platform/errors"}
    return status, {"errors": [entry]}, {}


class RunwareEmulator(Emulator):
    """The service. Its address, like the real one's, ends with `/v1`."""

    name: ClassVar[str] = "runware"
    usual_key: ClassVar[str] = "runware-emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        # Headers for this are not documented; gateways in front of the service may send one.
        Trouble.BUSY: (
            *_error(429, "rateLimitExceeded", "Too many requests.")[:2],
            {"Retry-After": str(_BUSY_SECONDS)},
        ),
        Trouble.BUSY_QUIET: _error(429, "rateLimitExceeded", "Too many requests."),
        Trouble.AWAY: _error(503, "serviceUnavailable", "The service is temporarily unavailable."),
        Trouble.BROKEN: _error(500, "internalServerError", "Something went wrong."),
        Trouble.QUOTA: _error(400, "insufficientCredits", "Insufficient credits; top up your account."),
        Trouble.WRONG_KEY: _error(401, "invalidApiKey", "Invalid API key."),
        Trouble.BAD_INPUT: _error(400, "invalidPositivePrompt", "The prompt is too long.", parameter="positivePrompt"),
    }

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post("/v1", self._take_tasks)]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        if work.notes["is_sync"]:
            work.is_done = True
            return 200, self._answer(work)
        return 200, {"data": [_head(work)]}

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        """Runware signs nothing; what it tells is one result."""
        return {}, json.dumps({"data": [self._item(work, 0)]}).encode()

    def callback_address(self, work: Work, *, forged: bool = False) -> str:
        """Return the address as it was given; a forger knows all of it but its query."""
        address = str(work.callback_url)
        return f"{address.partition('?')[0]}?token={'0' * 32}" if forged else address

    # What it answers

    async def _take_tasks(self, request: web.Request) -> Answer:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)
        tasks = _read_tasks(request, await request.read())
        types = {str(task.get("taskType")) for task in tasks}
        for task in tasks:
            if not _UUID4.fullmatch(str(task.get("taskUUID"))):
                raise _invalid("invalidTaskUUID", "taskUUID must be a UUID v4.", task, "taskUUID")
        if types == {"getResponse"}:
            return await self._tell(request, tasks)
        if len(tasks) > 1:
            raise _invalid("invalidTaskList", "The emulator takes one such task a request.", tasks[0], "taskType")
        if types == {"mediaStorage"}:
            return self._store(tasks[0])
        return await self._submit(request, tasks[0])

    async def _submit(self, request: web.Request, task: Mapping[str, Any]) -> Answer:
        if task["taskUUID"] in self.accepted:
            raise _invalid("conflictTaskUUID", "The taskUUID is in use already.", task, "taskUUID")
        model = str(task.get("model"))
        if model not in self.kinds:
            raise _invalid("invalidModel", f"Invalid value for 'model': {model!r}.", task, "model")
        kind = self.kinds[model]
        self._check_task(task, kind)
        arguments = {name: value for name, value in task.items() if name not in _PARTICULAR}
        work = Work(
            id=task["taskUUID"],
            endpoint=model,
            kind=kind,
            arguments=arguments,
            wish=self.wish_in(arguments),
            callback_url=task.get("webhookURL"),
            count=task.get("numberResults", 1),
            notes={"is_sync": task.get("deliveryMethod", "sync") == "sync", "costs": task.get("includeCost") is True},
        )
        return await self.take(request, work)

    async def _tell(self, request: web.Request, tasks: Sequence[Mapping[str, Any]]) -> Answer:
        told: dict[str, list[object]] = {"data": [], "errors": []}
        for task in tasks:
            work = self.accepted.get(task["taskUUID"])
            if work is None:
                raise _invalid("taskFailedOrNotFound", "There is no such task.", task, "taskUUID")
            replaced = await self.asked(request, work)
            if replaced is not None:
                return replaced
            for name, entries in self._answer(work).items():
                told[name] += entries
        return web.json_response({name: entries for name, entries in told.items() if entries or name == "data"})

    def _store(self, task: Mapping[str, Any]) -> Answer:
        if task.get("operation") != "upload" or not re.match(r"data:\w+/[\w.+-]+;base64,", str(task.get("media"))):
            raise _invalid("invalidMedia", "The emulator's storage takes uploads of data: URIs.", task, "media")
        if self.failing_uploads:
            self.failing_uploads -= 1
            raise self.refusal_of(Trouble.BROKEN)
        media_id = str(uuid.uuid4())
        self.uploads[media_id] = _content_of(task["media"])
        stored = {"mediaUUID": media_id, "mediaURL": f"{_STORED}{media_id}", "operation": "upload"}
        return web.json_response({"data": [{**_names(task), **stored}]})

    def _check_task(self, task: Mapping[str, Any], kind: str) -> None:
        """Refuse what does not fit the model's published type, and media that Runware could not fetch."""
        model = task["model"]
        problem = published("runware").problem_of(model, task)
        if problem is not None:
            raise _invalid("invalidParameter", problem[1], task, problem[0])
        if task.get("deliveryMethod", "sync") not in ({"sync", "async"} if kind == "image" else {"async"}):
            raise _invalid("invalidDeliveryMethod", f"{kind} is delivered asynchronously.", task, "deliveryMethod")
        settings = task.get("providerSettings", {})
        if not set(settings) <= {model.partition(":")[0]}:
            raise _invalid("mismatchProviderSettingsProvider", "It is another's.", task, "providerSettings")
        if not str(task.get("webhookURL", "https://")).startswith("https://"):
            raise _invalid("invalidWebhookURL", "It must be an https address.", task, "webhookURL")
        for name, address in _media(task.get("inputs", {})):
            if not (_MEDIUM if name in {"video", "audio"} else _PICTURE).fullmatch(address):
                raise _invalid("invalidMedia", "It is no address that can be fetched.", task, f"inputs.{name}")

    def _answer(self, work: Work) -> dict[str, list[object]]:
        """Return what there is to tell: of several results the first may be done before the others."""
        if not work.is_done:
            is_odd = work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}")
            waiting = {**_head(work), "status": "hibernating" if is_odd else "processing", "progress": 50}
            done = [self._item(work, 0)] if work.count > 1 and work.polls > 1 else []
            return {"data": [*done, *([waiting] * (work.count - len(done)))]}
        if work.wants(Trouble.STOPPED):
            return {"errors": [{**_head(work), "code": "taskCancelled", "message": "The task was cancelled."}]}
        return {"data": [self._item(work, number) for number in range(work.count)]}

    def _item(self, work: Work, number: int) -> object:
        """Return one result, good or bad."""
        failed = {
            Trouble.FAILED: ("providerError", "The provider could not do it."),
            Trouble.PARTIAL: ("inferenceError", "The inference failed.") if number else None,
            Trouble.MODERATED: ("providerContentPolicyViolation", "Content refused.") if work.kind != "image" else None,
        }
        error = failed.get(work.wish.trouble) if work.wish.trouble else None
        if error is not None:
            told = {"code": error[0], "message": error[1], "parameter": ["positivePrompt"]}
            return {**_head(work), "status": "error", "resultIndex": number, "error": told}
        urls = self.file_urls(work)
        found = {
            f"{work.kind}UUID": str(uuid.uuid5(uuid.UUID(work.id), str(number))),
            "seed": 7,
            "NSFWContent": work.wants(Trouble.MODERATED),
            "resultIndex": number,
        }
        cost = {"cost": 0.0013} if work.notes["costs"] else {}
        address = {f"{work.kind}URL": urls[number]} if urls else {}
        return {**_head(work), "status": "success", **found, **cost, **address}


def _read_tasks(request: web.Request, body: bytes) -> list[Mapping[str, Any]]:
    """Return the tasks of a request, which are a list even where there is one."""
    refusal = Refusal(*_error(400, "invalidRequest", "The body must be a JSON array of tasks."))
    if request.content_type != "application/json":
        raise refusal
    try:
        tasks = json.loads(body)
    except ValueError:
        raise refusal from None
    if not isinstance(tasks, list) or not tasks or not all(isinstance(task, dict) for task in tasks):
        raise refusal
    return tasks


def _invalid(code: str, message: str, task: Mapping[str, Any], parameter: str) -> Refusal:
    return Refusal(*_error(400, code, message, parameter=parameter, **_names(task)))


def _names(task: Mapping[str, Any]) -> dict[str, str]:
    return {"taskType": str(task.get("taskType")), "taskUUID": str(task.get("taskUUID"))}


def _head(work: Work) -> dict[str, str]:
    return {"taskType": str(work.arguments["taskType"]), "taskUUID": work.id}


def _content_of(address: str) -> bytes:
    return base64.b64decode(address.partition(",")[2], validate=True)


def _media(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every address in `inputs`, with the name of what it stands for."""
    if isinstance(value, str) and name != "frame":
        yield name, value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _media(member, key)
    elif isinstance(value, list):
        for item in value:
            yield from _media(item, name)
