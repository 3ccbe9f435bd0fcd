"""WaveSpeedAI: its predictions, over JSON.

Facts: wavespeed.ai/docs (submit, results, error codes, webhooks and how they are verified, media upload) and wavespeed
2.0.5, November 2026. An endpoint is the path behind `/api/v3/`. Every answer is an envelope with a `code`, which
repeats the HTTP status, and `data`. Not every model takes `data:` URIs, so files without an address are uploaded. Files
are kept for seven days. Work cannot be cancelled.

`has_nsfw_contents` tells what a classifier saw in outputs that are delivered all the same, and some models are made for
such; so it refuses nothing unless the output is missing too.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    find_object,
    kind_of_status,
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
from pixeldojo.providers.forms import FormFile, encode_form, quoted

_POLL_SECONDS: Final = {"image": 1.0}
_USUAL_POLL_SECONDS: Final = 2.0
_UPLOAD_SECONDS: Final = 120.0
# What names of files end in, where that is not the second part of their type.
_NAME_ENDINGS: Final = {
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
}

_RUNNING: Final = frozenset({"created", "processing"})
_ENDED_BADLY: Final = frozenset({"failed", "cancelled", "timeout", "deleted"})

# `code` of a task (wavespeed.ai/docs/error-codes); any other is the service's own trouble.
_TASK_KINDS: Final[Mapping[JsonValue, UpstreamErrorKind]] = {
    1200: UpstreamErrorKind.REFUSED_CONTENT,
    1400: UpstreamErrorKind.REJECTED_INPUT,
    1401: UpstreamErrorKind.REJECTED_INPUT,
    1402: UpstreamErrorKind.REJECTED_INPUT,
}
# What moderation says where there is no code.
_REFUSAL = re.compile(
    r"potentially sensitive|sensitive information|content policy|moderation|nsfw|safety (?:system|filter)",
    re.IGNORECASE,
)
_NO_CREDITS = re.compile(r"insufficient (?:credits?|balance|funds)|top up", re.IGNORECASE)


class WaveSpeedProvider:
    """The adapter."""

    name: str = "wavespeed"
    is_resubmit_safe: bool = False

    def __init__(self, key: str, base_url: str = "https://api.wavespeed.ai") -> None:
        """Take the operator's API key and the service's address, without `/api/v3`."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._headers = {"authorization": f"Bearer {key}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Create a prediction."""
        url = f"{self.base_url}/api/v3/{call.endpoint}"
        if call.callback_url is not None:
            url = f"{url}?webhook={quoted(call.callback_url)}"
        answer = await http.request("POST", url, headers=self._headers, json=call.arguments)
        prediction = self._data(answer, "refused the request")
        kind = str(call.output.get("kind"))
        is_running = str(prediction.get("status")) in _RUNNING
        return Operation(
            id=read_id(prediction, "id"),
            data={"kind": kind},
            poll_after_seconds=_poll_seconds(kind) if is_running else 0.0,
            calls_back=call.callback_url is not None,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the prediction."""
        url = f"{self.base_url}/api/v3/predictions/{operation.id}/result"
        answer = await http.request("GET", url, headers=self._headers)
        prediction = self._data(answer, "did not say how it goes")
        status = str(prediction.get("status"))
        if status in _RUNNING:
            return Running(poll_after_seconds=_poll_seconds(str(operation.data.get("kind"))))
        if status in _ENDED_BADLY:
            raise self._failure(prediction, status)
        if status != "completed":
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "WaveSpeed answered with a status that is not known.")
        return Finished(_outputs(prediction), upstream_cost=_cost(prediction))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """WaveSpeed's API has no way to stop a prediction."""
        return CancelOutcome.NOT_SUPPORTED

    def wants_upload(self, file: InputFile) -> bool:
        """Every model takes addresses, only some take content."""
        return True

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Keep the file at WaveSpeed, which deletes it after a week; its type is told by the name's ending too.

        There is a newer way, by which the file goes to a storage host that the answer names. This one goes to
        WaveSpeed itself, and is one call.
        """
        form_type, form = encode_form({}, [FormFile("file", _file_name(file), file.content_type, content)])
        answer = await http.request(
            "POST",
            f"{self.base_url}/api/v3/media/upload/binary",
            headers={**self._headers, "content-type": form_type},
            body=form,
            timeout_seconds=_UPLOAD_SECONDS,
        )
        address = self._data(answer, "did not take a file").get("download_url")
        if not isinstance(address, str) or not address.startswith("https://"):
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "WaveSpeed took a file and did not say where it is.")
        return address

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return the account's webhook secret: its text without the prefix, not what the text is base64 of."""
        answer = await http.request("GET", f"{self.base_url}/api/v3/webhook/secret", headers=self._headers)
        secret = self._data(answer, "did not give its webhook secret").get("secret")
        prefix, _, text = secret.partition("_") if isinstance(secret, str) else ("", "", "")
        return (text.encode(errors="replace"),) if prefix == "whsec" and text else ()

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the signature: version 3, a hexadecimal HMAC-SHA256 over id, time and body."""
        signed, given = read_signed(callback)
        right = [hmac.digest(key, signed, "sha256").hex().encode() for key in keys]
        offered = [part.removeprefix("v3,").encode() for part in given if part.startswith("v3,")]
        if not any(hmac.compare_digest(one, other) for one in right for other in offered):
            raise ForgedCallback("The callback's signature is not WaveSpeed's.")

    def _data(self, answer: HttpAnswer, what: str) -> JsonObject:
        """Return what the envelope holds.

        Raises:
            UpstreamError: if it holds nothing, or says no; `what` is what WaveSpeed did then.
        """
        if answer.status >= 300:
            raise self._refusal(answer, find_object(answer) or {}, what)
        body = read_object(answer)
        data = body.get("data")
        if isinstance(data, Mapping):
            return data
        if body.get("code") == 200:
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "WaveSpeed answered with an empty envelope.")
        raise self._refusal(answer, body, what)

    def _refusal(self, answer: HttpAnswer, body: JsonObject, what: str) -> UpstreamError:
        """Return what a `no` means, by the envelope's code where the HTTP status is a good one."""
        code = body.get("code")
        status = code if answer.status < 300 and isinstance(code, int) and 400 <= code < 600 else answer.status
        said = plain(body.get("message"), hide=self._key)
        kind = kind_of_status(status) if status >= 300 else UpstreamErrorKind.UNKNOWN
        if code == 1200 or _REFUSAL.search(said):
            kind = UpstreamErrorKind.REFUSED_CONTENT
        elif _NO_CREDITS.search(said):
            kind = UpstreamErrorKind.OVER_LIMIT
        if kind == UpstreamErrorKind.UNAUTHORIZED:
            return UpstreamError(kind, "WaveSpeed did not accept the operator's credentials.")
        message = f"WaveSpeed {what} ({status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _failure(self, prediction: JsonObject, status: str) -> UpstreamError:
        said = plain(prediction.get("error"), hide=self._key)
        code = prediction.get("code")
        kind = _TASK_KINDS.get(code) if isinstance(code, int) else None
        if kind is None:
            refused = _REFUSAL.search(said) is not None
            kind = UpstreamErrorKind.REFUSED_CONTENT if refused else UpstreamErrorKind.UNAVAILABLE
        why = said or "it did not say why"
        return UpstreamError(kind, f"WaveSpeed ended the prediction as {status}: {why}", is_final=True)


def _poll_seconds(kind: str) -> float:
    return _POLL_SECONDS.get(kind, _USUAL_POLL_SECONDS)


def _file_name(file: InputFile) -> str:
    return f"input.{_NAME_ENDINGS.get(file.content_type, file.content_type.rpartition('/')[2])}"


def _outputs(prediction: JsonObject) -> tuple[OutputFile, ...]:
    """Return the outputs.

    Raises:
        UpstreamError: `REFUSED_CONTENT` if there are none and moderation says why.
    """
    files = output_files(prediction.get("outputs"))
    flags = prediction.get("has_nsfw_contents")
    if not files and isinstance(flags, list) and True in flags:
        raise UpstreamError(
            UpstreamErrorKind.REFUSED_CONTENT, "WaveSpeed's moderation kept what was made.", is_final=True
        )
    return files


def _cost(prediction: JsonObject) -> str | None:
    timings = prediction.get("timings")
    milliseconds = timings.get("inference") if isinstance(timings, Mapping) else None
    return None if milliseconds is None else f"{milliseconds} ms of inference"
