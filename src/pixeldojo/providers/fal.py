"""fal.ai: its queue, over JSON.

Facts: fal.ai/docs and docs.fal.ai (queue, webhooks, errors, model pages), fal-client 1.0.3 and fal-js, November 2026.
An endpoint is `owner/alias[/path]`; a request of it is asked for under `owner/alias` alone. The status and the result
have addresses of their own; the addresses that answers name are not used, so the key goes nowhere else. Media inputs
may be `data:` URIs of any size, so nothing is uploaded.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    CALLBACK_TOLERANCE_SECONDS,
    find_object,
    kind_of_status,
    objects_in,
    output_files,
    plain,
    read_id,
    read_object,
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
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.forms import quoted

_NAMESPACES: Final = frozenset({"workflows", "comfy"})

# Where model pages put outputs, the likeliest first.
_OUTPUT_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("images", "image", "image_url"),
    "video": ("video", "videos", "video_url"),
    "audio": ("audio", "audio_file", "audio_url"),
    "model3d": ("model_glb", "model_mesh", "glb", "mesh"),
}
_FLAG_MEMBERS: Final = ("has_nsfw_concepts", "nsfw_content_detected")

# `type` of an entry of `detail`, and `error_type`, that say more than the status.
_REFUSALS: Final = frozenset({"content_policy_violation", "no_media_generated_due_to_content_policy"})
_OUTAGES: Final = re.compile(
    r"runner_|startup_timeout|request_timeout|internal_|generation_timeout|downstream_service_|client_"
)
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


class FalProvider:
    """The adapter."""

    name: str = "fal"
    is_resubmit_safe: bool = False

    def __init__(
        self,
        key: str,
        base_url: str = "https://queue.fal.run",
        keys_url: str = "https://rest.fal.ai/.well-known/jwks.json",
    ) -> None:
        """Take the operator's key (`id:secret`), the queue's address, and that of the keys which sign callbacks."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._keys_url = keys_url
        self._headers = {"authorization": f"Key {key}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Put the request into the queue."""
        url = f"{self.base_url}/{call.endpoint}"
        if call.callback_url is not None:
            url = f"{url}?fal_webhook={quoted(call.callback_url)}"
        answer = await http.request("POST", url, headers=self._headers, json=call.arguments)
        if answer.status >= 300:
            raise self._refusal(answer)
        request_id = read_id(read_object(answer), "request_id")
        kind = str(call.output.get("kind"))
        return Operation(
            id=request_id,
            data={"app": _app_of(call.endpoint), "kind": kind},
            can_cancel=True,
            calls_back=call.callback_url is not None,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the status, and for the result once there is one."""
        url = self._url_of(operation)
        answer = await http.request("GET", f"{url}/status", headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        status = read_object(answer)
        word = str(status.get("status"))
        if word in {"IN_QUEUE", "IN_PROGRESS"}:
            return Running()
        if word != "COMPLETED":
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "the upstream answered with a status that is not known")
        answer = await http.request("GET", url, headers=self._headers)
        if answer.status >= 300:
            raise self._failure(answer, status)
        kind = str(operation.data.get("kind"))
        outputs, is_blanked = _outputs(read_object(answer), kind)
        if is_blanked:
            blanked = "the upstream's moderation blanked what was made"
            raise UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, blanked, is_final=True, upstream_cost=_cost(status))
        return Finished(outputs, upstream_cost=_cost(status))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Ask the queue to drop the request; what runs already may go on."""
        answer = await http.request("PUT", f"{self._url_of(operation)}/cancel", headers=self._headers)
        if answer.status < 300:
            return CancelOutcome.REQUESTED
        body = find_object(answer) or {}
        if str(body.get("status")) in {"ALREADY_COMPLETED", "NOT_FOUND"}:
            return CancelOutcome.TOO_LATE
        raise self._trouble(answer)

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return the public Ed25519 keys that fal publishes; they may be kept for a day."""
        answer = await http.request("GET", self._keys_url)
        if answer.status != 200:
            raise self._trouble(answer)
        keys = map(_public_key, objects_in(read_object(answer).get("keys")))
        return tuple(key for key in keys if key)

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the signature over request id, user id, time and the body's SHA-256."""
        names = ("request-id", "user-id", "timestamp", "signature")
        values = [callback.headers.get(f"x-fal-webhook-{name}", "") for name in names]
        if not all(values) or not _UNIX_SECONDS.fullmatch(values[2]):
            raise ForgedCallback("The X-Fal-Webhook-… headers are missing or broken.")
        if abs(callback.received_at.timestamp() - int(values[2])) > CALLBACK_TOLERANCE_SECONDS:
            raise ForgedCallback("The callback's time is too far from ours.")
        message = "\n".join([*values[:3], hashlib.sha256(callback.body).hexdigest()]).encode()
        if not any(_is_signed(key, values[3], message) for key in keys):
            raise ForgedCallback("The callback's signature is not fal's.")

    def _url_of(self, operation: Operation) -> str:
        return f"{self.base_url}/{operation.data.get('app')}/requests/{operation.id}"

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A submit that was turned away.

        That fal bills no work which ends in a 5xx says nothing of a submit that does: the queue may have it all the
        same. Surely it has not where a 503 names no request; fal's own client tells its gateway's errors by that.
        """
        kind, said = self._read_error(answer)
        is_named = answer.status == 503 and "x-fal-request-id" in answer.headers
        if is_named or kind_of_status(answer.status) == UpstreamErrorKind.UNKNOWN:
            kind = UpstreamErrorKind.UNKNOWN
        return UpstreamError(
            kind, _sentence("refused the request", answer, kind, said), retry_after_seconds=retry_after_seconds(answer)
        )

    def _trouble(self, answer: HttpAnswer) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        kind = kind_of_status(answer.status)
        return UpstreamError(
            kind,
            _sentence("did not say how it goes", answer, kind, ""),
            retry_after_seconds=retry_after_seconds(answer),
        )

    def _failure(self, answer: HttpAnswer, status: JsonObject) -> UpstreamError:
        """A result that is an error: the request's own, unless it is only that the answer could not be had."""
        kind, said = self._read_error(answer)
        body = find_object(answer) or {}
        has_own_words = isinstance(body.get("detail"), list) or _error_type(answer, body) or status.get("error")
        is_about_us = answer.status in {401, 403, 408, 429}
        if is_about_us or not has_own_words:
            return self._trouble(answer)
        said = said or plain(status.get("error"), hide=self._key)
        return UpstreamError(kind, _sentence("could not do it", answer, kind, said), is_final=True)

    def _read_error(self, answer: HttpAnswer) -> tuple[UpstreamErrorKind, str]:
        """Return the kind of an error, and what fal says about it."""
        body = find_object(answer) or {}
        detail = body.get("detail")
        entries = objects_in(detail)
        types = {str(entry.get("type")) for entry in entries} | {_error_type(answer, body)}
        texts = [_entry_text(entry) for entry in entries] or [detail or body.get("error")]
        said = "; ".join(filter(None, (plain(text, hide=self._key) for text in texts)))
        if types & _REFUSALS:
            return UpstreamErrorKind.REFUSED_CONTENT, said
        if any(_OUTAGES.match(word) for word in types):
            return UpstreamErrorKind.UNAVAILABLE, said
        return kind_of_status(answer.status), said


def _app_of(endpoint: str) -> str:
    """Return the part of an endpoint that its requests are asked for under."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def _outputs(body: JsonObject, kind: str) -> tuple[tuple[OutputFile, ...], bool]:
    """Return the outputs without those that moderation blanked, and whether it blanked all there were."""
    members = (body.get(name) for name in _OUTPUT_MEMBERS.get(kind, ()))
    files = next(filter(None, map(output_files, members)), ())
    flags = next((value for name in _FLAG_MEMBERS if isinstance(value := body.get(name), list)), [])
    kept = tuple(file for index, file in enumerate(files) if not (index < len(flags) and flags[index] is True))
    return kept, bool(files) and not kept


def _error_type(answer: HttpAnswer, body: JsonObject) -> str:
    return str(answer.headers.get("x-fal-error-type") or body.get("error_type") or "")


def _entry_text(entry: JsonObject) -> JsonValue:
    """Return an entry of `detail` in one sentence: where, and what."""
    where = entry.get("loc")
    place = ".".join(str(part) for part in where if part != "body") if isinstance(where, list) else ""
    said = entry.get("msg")
    return f"{place}: {said}" if place and isinstance(said, str) else said


def _sentence(what: str, answer: HttpAnswer, kind: UpstreamErrorKind, said: str) -> str:
    """Return the error's message; of what is the operator's concern, callers learn no more than that it is."""
    if kind == UpstreamErrorKind.UNAUTHORIZED:
        return "fal did not accept the operator's credentials, or the account is locked."
    return f"fal {what} ({answer.status}){f': {said}' if said else '.'}"


def _cost(status: JsonObject) -> str | None:
    metrics = status.get("metrics")
    seconds = metrics.get("inference_time") if isinstance(metrics, Mapping) else None
    return None if seconds is None else f"{seconds} s of inference"


def _public_key(entry: JsonObject) -> bytes | None:
    """Return the 32 bytes of an Ed25519 key (RFC 8037); None for a key of another kind."""
    value = entry.get("x") if entry.get("kty") == "OKP" else None
    if not isinstance(value, str):
        return None
    try:
        key = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _is_signed(key: bytes, signature: str, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True
