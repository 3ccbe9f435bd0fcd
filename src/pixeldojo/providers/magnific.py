"""Magnific, which was Freepik: its tasks, over JSON.

Facts: docs.magnific.com and docs.freepik.com (authentication, task pages, upload files, webhooks, rate limits) and
public client code, November 2026; there is no client of its own. An endpoint is the path behind `/v1/ai/`. Answers are
`{"data": {…}}`, in a few places without the `data`. A key has 50 requests a minute, questions included, so they are
rare. Files without an address are uploaded to a storage host that an answer names, without the key. Tasks cannot be
cancelled.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    find_object,
    kind_of_status,
    objects_in,
    output_files,
    plain,
    read_id,
    read_object,
    read_signed,
    retry_after_seconds,
)
from pixeldojo.providers.contract import (
    Call,
    Callback,
    CancelOutcome,
    Finished,
    ForgedCallback,
    HttpAnswer,
    HttpClient,
    InputFile,
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)

_POLL_SECONDS: Final = {"image": 3.0}
_USUAL_POLL_SECONDS: Final = 10.0
_UPLOAD_SECONDS: Final = 120.0
_UPLOADED_TYPES: Final = frozenset(
    {
        *("image/png", "image/jpeg", "image/webp", "video/mp4", "video/webm", "video/quicktime"),
        *("audio/mpeg", "audio/wav", "audio/mp4", "audio/ogg"),
    }
)
# Where tasks are asked about under their family's path, by what their endpoint begins with.
_FAMILIES: Final[Mapping[str, str]] = {
    "image-to-video/kling-pro": "image-to-video/kling",
    "image-to-video/kling-std": "image-to-video/kling",
    "image-to-video/kling-elements-": "image-to-video/kling-elements",
    "image-to-video/kling-o1-": "image-to-video/kling-o1",
    "image-to-video/kling-v2-6-": "image-to-video/kling-v2-6",
    "video/kling-v2-6-motion-control-": "image-to-video/kling-v2-6",
    "video/kling-v3-omni-": "video/kling-v3-omni",
    "video/kling-v3-motion-control-": "",
    "video/kling-v3-": "video/kling-v3",
    "reference-to-video/kling-v3-omni-": "reference-to-video/kling-v3-omni",
    "video/seedance-2-fast-": "video/seedance-2-fast",
    "video/seedance-2-mini-": "video/seedance-2-mini",
    "video/seedance-2-pro-": "video/seedance-2-pro",
    "video-upscaler/": "video-upscaler",
}

_RUNNING: Final = frozenset({"CREATED", "IN_PROGRESS"})
_REFUSAL = re.compile(
    r"nsfw|moderation|content policy|flagged|sensitive content|safety (?:system|filter)", re.IGNORECASE
)
_NO_CREDITS = re.compile(r"consuming credits|not enough credits|insufficient credits", re.IGNORECASE)
_SIGNATURE = re.compile(r"v[0-9]+,(.+)")


class MagnificProvider:
    """The adapter."""

    name: str = "magnific"
    is_resubmit_safe: bool = False

    def __init__(
        self,
        key: str,
        base_url: str = "https://api.magnific.com/v1",
        webhook_secret: str = "",
        key_header: str = "x-magnific-api-key",
    ) -> None:
        """Take the operator's API key, the API's address with its version, and what signs callbacks.

        Args:
            webhook_secret: As the dashboard shows it; without it, callbacks could not be told from forged ones, and
                none are asked for.
            key_header: What the key is sent as; api.freepik.com, which answers the same, wants `x-freepik-api-key`.
        """
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._webhook_secret = webhook_secret
        self._headers = {key_header: key}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Create a task."""
        _refuse_inline_files(call.arguments)
        body = dict(call.arguments)
        calls_back = call.callback_url is not None and bool(self._webhook_secret)
        if calls_back:
            body["webhook_url"] = call.callback_url
        answer = await http.request("POST", f"{self.base_url}/ai/{call.endpoint}", headers=self._headers, json=body)
        if answer.status >= 300:
            raise self._refusal(answer, "refused the request")
        kind = str(call.output.get("kind"))
        return Operation(
            id=read_id(_task(answer), "task_id"),
            data={"path": _status_path(call.endpoint), "kind": kind},
            poll_after_seconds=_poll_seconds(kind),
            calls_back=calls_back,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the task."""
        url = f"{self.base_url}/ai/{operation.data.get('path')}/{operation.id}"
        answer = await http.request("GET", url, headers=self._headers)
        if answer.status >= 300:
            raise self._refusal(answer, "did not say how it goes")
        task = _task(answer)
        status = str(task.get("status") or task.get("task_status"))
        if status in _RUNNING:
            return Running(poll_after_seconds=_poll_seconds(str(operation.data.get("kind"))))
        if status == "FAILED":
            raise self._failure(task)
        if status != "COMPLETED":
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "Magnific answered with a status that is not known.")
        return Finished(_outputs(task))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Magnific's API has no way to stop a task."""
        return CancelOutcome.NOT_SUPPORTED

    def wants_upload(self, file: InputFile) -> bool:
        """Magnific's fields for addresses take nothing else; its storage takes these types."""
        return file.content_type in _UPLOADED_TYPES

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Keep the file at Magnific for a day. It says where the file goes, and which headers are part of that."""
        answer = await http.request(
            "POST",
            f"{self.base_url}/ai/uploads/request-url",
            headers=self._headers,
            json={"files": [{"content_type": file.content_type}]},
        )
        if answer.status >= 300:
            raise self._no_upload(answer)
        place, headers, address = _ticket(read_object(answer))
        stored = await http.request("PUT", place, headers=headers, body=content, timeout_seconds=_UPLOAD_SECONDS)
        if stored.status >= 300:
            raise UpstreamError(
                UpstreamErrorKind.UNAVAILABLE, f"Magnific's storage did not take a file ({stored.status})."
            )
        return address

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return what the secret may stand for as a key: its own text by the documents, else what it is base64 of."""
        secret = self._webhook_secret
        if not secret:
            return ()
        try:
            return (secret.encode(), base64.b64decode(secret.removeprefix("whsec_"), validate=True))
        except (binascii.Error, ValueError):
            return (secret.encode(),)

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the signatures, one for each secret that is valid: base64 HMAC-SHA256 over id, time and body."""
        signed, given = read_signed(callback)
        right = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
        offered = [found[1].encode() for part in given if (found := _SIGNATURE.fullmatch(part))]
        if not any(hmac.compare_digest(one, other) for one in right for other in offered):
            raise ForgedCallback("The callback's signature is not Magnific's.")

    def _refusal(self, answer: HttpAnswer, what: str) -> UpstreamError:
        """A request that was turned away."""
        said = plain(_said(find_object(answer) or {}), hide=self._key)
        kind = kind_of_status(answer.status)
        if _NO_CREDITS.search(said):
            kind = UpstreamErrorKind.OVER_LIMIT
        elif kind == UpstreamErrorKind.REJECTED_INPUT and _REFUSAL.search(said):
            kind = UpstreamErrorKind.REFUSED_CONTENT
        if kind == UpstreamErrorKind.UNAUTHORIZED:
            return UpstreamError(kind, "Magnific did not accept the operator's credentials.")
        message = f"Magnific {what} ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _no_upload(self, answer: HttpAnswer) -> UpstreamError:
        """A file that was not taken is no fault of the input: another upstream may take it."""
        error = self._refusal(answer, "did not take a file")
        if error.kind != UpstreamErrorKind.REJECTED_INPUT:
            return error
        return UpstreamError(UpstreamErrorKind.UNAVAILABLE, error.message)

    def _failure(self, task: JsonObject) -> UpstreamError:
        said = plain(task.get("error"), hide=self._key)
        refused = _REFUSAL.search(said) is not None or _is_flagged(task)
        kind = UpstreamErrorKind.REFUSED_CONTENT if refused else UpstreamErrorKind.UNAVAILABLE
        return UpstreamError(kind, f"The task at Magnific failed: {said or 'it did not say why'}", is_final=True)


def _poll_seconds(kind: str) -> float:
    return _POLL_SECONDS.get(kind, _USUAL_POLL_SECONDS)


def _status_path(endpoint: str) -> str:
    """Return the path that tasks of an endpoint are asked about under."""
    family = next((path for beginning, path in _FAMILIES.items() if endpoint.startswith(beginning)), "")
    return family or endpoint


def _refuse_inline_files(arguments: JsonObject) -> None:
    """Raise if a file stands in the request: the documents promise that for few fields, and name no form for it."""
    for value in arguments.values():
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, str) and item.startswith("data:") for item in items):
            raise UpstreamError(
                UpstreamErrorKind.UNAVAILABLE,
                "Magnific does not take files of this type without a public https address; nothing was sent.",
            )


def _task(answer: HttpAnswer) -> JsonObject:
    body = read_object(answer)
    data = body.get("data")
    return data if isinstance(data, Mapping) else body


def _said(body: JsonObject) -> str:
    """Return the sentence of an error, with the fields that it is about."""
    inner = body.get("problem")
    problem = inner if isinstance(inner, Mapping) else body
    named = objects_in(problem.get("invalid_params"))
    message = problem.get("message") or problem.get("error")
    parts = [message, *(f"{entry.get('name')}: {entry.get('reason')}" for entry in named)]
    return "; ".join(part for part in parts if isinstance(part, str))


def _ticket(body: JsonObject) -> tuple[str, Mapping[str, str], str]:
    """Return where a file goes, with which headers, and its address from then on.

    Raises:
        UpstreamError: `UNAVAILABLE` if the answer does not say.
    """
    listed = body.get("files")
    ticket = listed[0] if isinstance(listed, list) and listed else None
    found: JsonObject = ticket if isinstance(ticket, Mapping) else {}
    place, address, headers = found.get("upload_url"), found.get("asset_url"), found.get("headers")
    if not isinstance(place, str) or not isinstance(address, str) or not address.startswith("https://"):
        raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "Magnific did not say where a file should go.")
    given = headers.items() if isinstance(headers, Mapping) else ()
    return place, {name: value for name, value in given if isinstance(value, str)}, address


def _flags(task: JsonObject) -> Sequence[JsonValue]:
    flags = task.get("has_nsfw")
    return flags if isinstance(flags, list) else [flags]


def _is_flagged(task: JsonObject) -> bool:
    return True in _flags(task)


def _outputs(task: JsonObject) -> tuple[OutputFile, ...]:
    """Return the outputs, without those that the filter, which we never switch off, has struck.

    Raises:
        UpstreamError: `REFUSED_CONTENT` if it struck all of them.
    """
    files, flags = output_files(task.get("generated")), _flags(task)
    kept = tuple(file for index, file in enumerate(files) if not (index < len(flags) and flags[index] is True))
    if not kept and _is_flagged(task):
        raise UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, "Magnific's filter struck what was made.", is_final=True)
    return kept
