"""Google: Veo's clips by long-running operations, and Gemini's pictures at once, over the Gemini API.

Facts: google-genai 2.34.0, ai.google.dev (webhooks, errors, image and video generation) and vercel/ai's
packages/google, November 2026. An endpoint is `models/<id>:<method>`, with `predictLongRunning` or `generateContent`.
The API fetches nothing: an object whose `data` or `bytesBase64Encoded` is a `data:` URI gets the base64 and the
`mimeType` instead. Clips are downloaded with the key, so their address is put together here and never taken from an
answer. Nothing can be stopped.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    CALLBACK_TOLERANCE_SECONDS,
    find_object,
    inline_file,
    kind_of_status,
    object_in,
    objects_in,
    output_files,
    plain,
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
from pixeldojo.providers.forms import split_data_uri

_OPERATIONS: Final = ":predictLongRunning"
_PICTURE_SECONDS: Final = 300.0
_SUBMIT_SECONDS: Final = 60.0
_CONTENT_MEMBERS: Final = ("data", "bytesBase64Encoded")

_OPERATION = re.compile(r"models/[A-Za-z0-9._-]{1,100}/operations/([A-Za-z0-9_-]{1,100})")
_FILE = re.compile(r"/files/([a-z0-9]{1,100})(?:[:?/]|$)")
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_REFUSAL = re.compile(r"safety|usage guidelines|responsible ai|prohibited|sensitive", re.IGNORECASE)

# Why a candidate has no picture, where moderation took it or the model would not draw it: another prompt may help.
# The others (OTHER, MAX_TOKENS) are the model's trouble.
_REFUSALS: Final = frozenset(
    {
        *("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "BLOCKLIST", "SPII"),
        *("RECITATION", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE"),
    }
)
_INVALID_ARGUMENT: Final = 3
"""Of google.rpc.Code."""
_REFUSED: Final = "Google's moderation refused the content"
_LEAST_KEY_BITS: Final = 2_048


class GoogleProvider:
    """The adapter."""

    name: str = "google"
    is_resubmit_safe: bool = False
    # A request has 100 MB at most, and base64 makes four bytes of three.
    largest_media_bytes: int = 70_000_000
    largest_answer_bytes: int = 200_000_000

    def __init__(
        self,
        key: str,
        base_url: str = "https://generativelanguage.googleapis.com/v1beta",
        keys_url: str = "https://generativelanguage.googleapis.com/.well-known/jwks.json",
    ) -> None:
        """Take the operator's API key, the API's address with its version, and that of the keys signing callbacks."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._keys_url = keys_url
        self._headers = {"x-goog-api-key": key}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Ask for a picture and wait for it, or begin a clip."""
        body = {name: _inlined(value) for name, value in call.arguments.items()}
        is_clip = call.endpoint.endswith(_OPERATIONS)
        if is_clip and call.callback_url is not None:
            body["webhookConfig"] = {"uris": [call.callback_url]}
        seconds = _SUBMIT_SECONDS if is_clip else _PICTURE_SECONDS
        url = f"{self.base_url}/{call.endpoint}"
        answer = await http.request("POST", url, headers=self._headers, json=body, timeout_seconds=seconds)
        if answer.status >= 300:
            raise self._refusal(answer)
        accepted = read_object(answer)
        if not is_clip:
            return self._picture(accepted)
        return Operation(
            id=_read_operation(accepted),
            data={"model": call.endpoint.removesuffix(_OPERATIONS)},
            calls_back=call.callback_url is not None,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the operation."""
        url = f"{self.base_url}/{operation.data.get('model')}/operations/{operation.id}"
        answer = await http.request("GET", url, headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        told = read_object(answer)
        done = told.get("done", False)
        if done is False:
            return Running()
        if done is not True:
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "Google answered with a state that is not known.")
        error = told.get("error")
        if isinstance(error, Mapping):
            raise self._failure(error)
        return self._clips(object_in(object_in(told.get("response")).get("generateVideoResponse")))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Google's clips cannot be stopped."""
        return CancelOutcome.NOT_SUPPORTED

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return the public RSA keys that Google publishes, in DER."""
        answer = await http.request("GET", self._keys_url)
        if answer.status != 200:
            raise self._trouble(answer)
        keys = map(_public_key, objects_in(read_object(answer).get("keys")))
        return tuple(key for key in keys if key)

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the token that a callback asked for with the request carries: RS256, and not old.

        Google's own pages disagree on what its audience is (the address called, or the project), so that is not
        checked: whoever makes Google call this address brings no more about than a question.
        """
        signed, _, signature = callback.headers.get("webhook-signature", "").rpartition(".")
        head, _, claims = signed.partition(".")
        if object_in(_decoded_json(head)).get("alg") != "RS256":
            raise ForgedCallback("The webhook-signature header holds no token signed with RS256.")
        if not any(_is_signed(key, _decoded(signature), signed.encode()) for key in keys):
            raise ForgedCallback("The callback's signature is not Google's.")
        if not _is_timely(object_in(_decoded_json(claims)), callback.received_at.timestamp()):
            raise ForgedCallback("The callback's time is too far from ours, or not told.")

    def _picture(self, answer: JsonObject) -> Finished:
        """Return the pictures among the parts, without those of its thinking; or raise why there are none."""
        tokens = object_in(answer.get("usageMetadata")).get("totalTokenCount")
        cost = f"{tokens} tokens" if isinstance(tokens, int) else None
        blocked = object_in(answer.get("promptFeedback")).get("blockReason")
        if blocked:
            raise self._moderated(blocked, cost)
        candidates = objects_in(answer.get("candidates"))
        parts = [part for entry in candidates for part in objects_in(object_in(entry.get("content")).get("parts"))]
        shown = [object_in(part.get("inlineData")) for part in parts if part.get("thought") is not True]
        outputs = tuple(file for data in shown for file in inline_file(data.get("data")))
        reason = next((word for entry in candidates if (word := str(entry.get("finishReason"))) in _REFUSALS), None)
        if reason and not outputs:
            raise self._moderated(reason, cost)
        return Finished(outputs, upstream_cost=cost)

    def _clips(self, response: JsonObject) -> Finished:
        samples = [object_in(entry.get("video")) for entry in objects_in(response.get("generatedSamples"))]
        outputs = tuple(file for video in samples for file in self._clip(video))
        if not outputs and (response.get("raiMediaFilteredCount") or response.get("raiMediaFilteredReasons")):
            reasons = response.get("raiMediaFilteredReasons")
            raise self._moderated(reasons[0] if isinstance(reasons, list) and reasons else "")
        return Finished(outputs)

    def _clip(self, video: JsonObject) -> tuple[OutputFile, ...]:
        uri = video.get("uri")
        found = _FILE.search(uri) if isinstance(uri, str) else None
        if found is None:
            return output_files(uri) or inline_file(video.get("encodedVideo"))
        # Where the official client downloads too. The key goes along, so the address is ours.
        return (OutputFile(url=f"{self.base_url}/files/{found[1]}:download?alt=media", headers=self._headers),)

    def _moderated(self, reason: JsonValue, cost: str | None = None) -> UpstreamError:
        said = plain(reason, hide=self._key)
        message = f"{_REFUSED}{f': {said}' if said else '.'}"
        return UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, message, is_final=True, upstream_cost=cost)

    def _failure(self, error: JsonObject) -> UpstreamError:
        """An operation that ended badly."""
        said = plain(error.get("message"), hide=self._key) or "it did not say why"
        if _REFUSAL.search(said):
            return self._moderated(said)
        is_ours = error.get("code") == _INVALID_ARGUMENT
        kind = UpstreamErrorKind.REJECTED_INPUT if is_ours else UpstreamErrorKind.UNAVAILABLE
        return UpstreamError(kind, f"The model at Google failed: {said}", is_final=True)

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A request that was turned away. A wrong key, and an account that must not, are a 400 here."""
        error = object_in((find_object(answer) or {}).get("error"))
        details = objects_in(error.get("details"))
        kind = kind_of_status(answer.status)
        is_account = error.get("status") == "FAILED_PRECONDITION" or any(
            entry.get("reason") == "API_KEY_INVALID" for entry in details
        )
        if kind == UpstreamErrorKind.UNAUTHORIZED or is_account:
            message = "Google did not accept the operator's credentials, or the account may not use this model."
            return UpstreamError(UpstreamErrorKind.UNAUTHORIZED, message)
        said = plain(error.get("message"), hide=self._key)
        message = f"Google refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=_later(answer, details))

    def _trouble(self, answer: HttpAnswer) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        error = object_in((find_object(answer) or {}).get("error"))
        details = objects_in(error.get("details"))
        return UpstreamError(
            kind_of_status(answer.status),
            f"Google did not say how it goes ({answer.status}).",
            retry_after_seconds=_later(answer, details),
        )


def _inlined(value: JsonValue) -> JsonValue:
    """Return a value whose `data:` URIs are written as Google has files."""
    if isinstance(value, list):
        return [_inlined(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    inlined: dict[str, JsonValue] = {}
    for name, member in value.items():
        if name in _CONTENT_MEMBERS:
            inlined["mimeType"], inlined[name] = split_data_uri(member)
        else:
            inlined[name] = _inlined(member)
    return inlined


def _read_operation(accepted: JsonObject) -> str:
    name = accepted.get("name")
    found = _OPERATION.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise UpstreamError(UpstreamErrorKind.UNKNOWN, "the upstream answered without a usable 'name'")
    return found[1]


def _later(answer: HttpAnswer, details: Sequence[JsonObject]) -> float | None:
    """Return the wait that is asked for: among the details, else in the header."""
    delays = (_DURATION.fullmatch(str(entry.get("retryDelay", ""))) for entry in details)
    found = next(filter(None, delays), None)
    return float(found[1]) if found else retry_after_seconds(answer)


def _public_key(jwk: JsonObject) -> bytes | None:
    """Return an RSA key (RFC 7518) in DER; None for a key of another kind, or a short one."""
    modulus, exponent = (int.from_bytes(_decoded(jwk.get(name))) for name in ("n", "e"))
    if jwk.get("kty") != "RSA" or modulus.bit_length() < _LEAST_KEY_BITS:
        return None
    try:
        key = RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_signed(der: bytes, signature: bytes, message: bytes) -> bool:
    try:
        key = load_der_public_key(der)
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(signature, message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_timely(claims: JsonObject, now: float) -> bool:
    """Whether a token was issued about now, and is still good if it says until when."""
    issued, expires = (claims.get(name) for name in ("iat", "exp"))
    if not isinstance(issued, int) or abs(now - issued) > CALLBACK_TOLERANCE_SECONDS:
        return False
    return expires is None or (isinstance(expires, int) and now <= expires + CALLBACK_TOLERANCE_SECONDS)


def _decoded(text: JsonValue) -> bytes:
    """Return what URL-safe base64 without its padding stands for; nothing where it is something else."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


def _decoded_json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(_decoded(text))
    except (ValueError, RecursionError):
        return None
    return value
