"""Google's Gemini API as a server on loopback: Veo by long-running operations, and Gemini's pictures.

After google-genai 2.34.0, which drives it in tests/providers/test_google_client.py, and ai.google.dev/gemini-api
(webhooks, errors). Callbacks are signed as those that a request asks for: a token, by RS256. What a request must look
like is in google_requests.py.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.google_requests import InvalidArgument, check_clip, check_drawing
from tests.emulators.samples import CONTENT_TYPES
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = "2s"
_TOKEN_SECONDS: Final = 300
_LARGEST_REQUEST: Final = 100 * 1024 * 1024
_RETRY: Final = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": _BUSY_SECONDS}
_BAD_KEY: Final = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


def _error(
    status: int, name: str, message: str, *details: Mapping[str, object]
) -> tuple[int, object, Mapping[str, str]]:
    return status, {"error": {"code": status, "message": message, "status": name, "details": list(details)}}, {}


def _invalid(message: str) -> Refusal:
    return Refusal(*_error(400, "INVALID_ARGUMENT", message))


def _check(check: Callable[..., None], *given: object) -> None:
    """Refuse what does not pass."""
    try:
        check(*given)
    except InvalidArgument as error:
        raise _invalid(str(error)) from None


class GoogleEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/v1beta` or `/v1`."""

    name: ClassVar[str] = "google"
    usual_key: ClassVar[str] = "AIza-emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: _error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.", _RETRY),
        Trouble.BUSY_QUIET: _error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted."),
        Trouble.AWAY: _error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        Trouble.BROKEN: _error(500, "INTERNAL", "An internal error has occurred."),
        Trouble.QUOTA: _error(400, "FAILED_PRECONDITION", "Billing is not enabled for this project."),
        Trouble.WRONG_KEY: _error(400, "INVALID_ARGUMENT", "API key not valid.", _BAD_KEY),
        Trouble.BAD_INPUT: _error(400, "INVALID_ARGUMENT", "The prompt is too long."),
    }
    count_members: ClassVar[tuple[str, ...]] = ()

    def __init__(self, kinds: Mapping[str, str], **options: Any) -> None:
        super().__init__(kinds, **options)
        self._key_number = 0

    def routes(self) -> list[web.RouteDef]:
        version = "/{version:v1|v1beta}"
        return [
            web.get("/.well-known/jwks.json", self._keys),
            web.post(version + "/{model:models/[^/:]+}:predictLongRunning", self._begin_clip),
            web.post(version + "/{model:models/[^/:]+}:generateContent", self._draw),
            web.get(version + "/{model:models/[^/:]+}/operations/{id}", self._get),
            web.get(version + "/files/{id:[a-z0-9]+}:download", self._download),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        if work.kind == "image":
            return 200, self._candidates(work)
        return 200, {"name": _operation_name(work)}

    def sign(self, work: Work, at: datetime, *, forged: bool = False) -> tuple[Mapping[str, str], bytes]:
        uri = f"https://generativelanguage.googleapis.com/v1beta/files/{work.id}"
        data = {"id": _operation_name(work), "output_file_uri": uri, "file_name": f"files/{work.id}"}
        event = {"type": "video.generated", "version": "v1", "timestamp": at.isoformat(), "data": data}
        issued = int(at.timestamp())
        claims = {
            "iss": "https://generativelanguage.googleapis.com",
            "aud": work.callback_url,
            "iat": issued,
            "exp": issued + _TOKEN_SECONDS,
        }
        number = -1 if forged else self._key_number
        signed = b".".join(_encoded(part) for part in ({"alg": "RS256", "kid": str(number), "typ": "JWT"}, claims))
        signature = base64.urlsafe_b64encode(_signing_key(number).sign(signed, PKCS1v15(), SHA256())).rstrip(b"=")
        headers = {
            "webhook-id": f"msg_{work.id}",
            "webhook-timestamp": str(issued),
            "webhook-signature": (signed + b"." + signature).decode(),
        }
        return headers, json.dumps(event).encode()

    def renew_keys(self) -> None:
        self._key_number += 1

    def certificate(self) -> bytes:
        """Return the public key that callbacks are signed with now, in PEM."""
        key = _signing_key(self._key_number).public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    # What it answers

    async def _keys(self, _request: web.Request) -> Answer:
        self.keys_given += 1
        numbers = _signing_key(self._key_number).public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": str(self._key_number),
            "n": _encoded_number(numbers.n),
            "e": _encoded_number(numbers.e),
        }
        return web.json_response({"keys": [key]})

    async def _begin_clip(self, request: web.Request) -> Answer:
        body = await self._read(request)
        _check(check_clip, body)
        uris = body.get("webhookConfig", {}).get("uris", [])
        work = self._work(request, "predictLongRunning", body, next(iter(uris), None))
        work.count = int(body.get("parameters", {}).get("sampleCount", 1))
        return await self.take(request, work)

    async def _draw(self, request: web.Request) -> Answer:
        body = await self._read(request)
        _check(check_drawing, body, request.match_info["model"])
        work = self._work(request, "generateContent", body, None)
        work.is_done = True
        return await self.take(request, work)

    def _work(self, request: web.Request, method: str, body: Mapping[str, Any], callback_url: str | None) -> Work:
        endpoint = f"{request.match_info['model']}:{method}"
        if endpoint not in self.kinds:
            raise Refusal(*_error(404, "NOT_FOUND", f"{request.match_info['model']} is not found for API version."))
        return Work(
            id=secrets.token_hex(6),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments=body,
            wish=self.wish_in(body),
            callback_url=callback_url,
            count=1,
        )

    async def _get(self, request: web.Request) -> Answer:
        self._check_key(request)
        work = self.accepted.get(request.match_info["id"])
        if work is None or not work.endpoint.startswith(f"{request.match_info['model']}:"):
            raise Refusal(*_error(404, "NOT_FOUND", "The operation is not found."))
        replaced = await self.asked(request, work)
        if replaced is not None:
            return replaced
        operation: dict[str, Any] = {"name": _operation_name(work)}
        if work.wants(Trouble.ODD_STATUS) and self.happens(work.wish, f"odd {work.id}"):
            return web.json_response({**operation, "done": "nearly"})
        return web.json_response({**operation, **(self._result(work) if work.is_done else {})})

    def _result(self, work: Work) -> Mapping[str, Any]:
        if work.wants(Trouble.FAILED):
            return {"done": True, "error": {"code": 13, "message": "Video generation failed due to an internal issue."}}
        if work.wants(Trouble.STOPPED):
            return {"done": True, "error": {"code": 1, "message": "The operation was cancelled."}}
        response: dict[str, Any] = {}
        if work.wants(Trouble.MODERATED):
            response = {
                "raiMediaFilteredCount": 1,
                "raiMediaFilteredReasons": ["The video was filtered because of its content. Support codes: 29310472"],
            }
        elif not work.wants(Trouble.EMPTY):
            # https whatever the emulator speaks: the official client recognises nothing else.
            base = self.named_url.replace("http://", "https://")
            uri = f"{base}/v1beta/files/{work.id}:download?alt=media"
            response = {"generatedSamples": [{"video": {"uri": uri}} for _ in range(work.count)]}
        kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.PredictLongRunningResponse"
        return {"done": True, "response": {"@type": kind, "generateVideoResponse": response}}

    def _candidates(self, work: Work) -> Mapping[str, Any]:
        """A picture behind a thought and some words, or why there is none."""
        usage = {"promptTokenCount": 12, "candidatesTokenCount": 1_290, "totalTokenCount": 1_302}
        answer: dict[str, Any] = {"usageMetadata": usage, "modelVersion": work.endpoint, "responseId": work.id}
        if work.wants(Trouble.MODERATED):
            return answer | {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        if work.wants(Trouble.PARTIAL, Trouble.FAILED):
            reason = "IMAGE_SAFETY" if work.wants(Trouble.PARTIAL) else "OTHER"
            withheld = {"finishReason": reason, "finishMessage": "Unable to show the picture.", "index": 0}
            return answer | {"candidates": [{"content": {"role": "model"}, **withheld}]}
        data = {"mimeType": CONTENT_TYPES[work.kind], "data": base64.b64encode(self.content_of(work)).decode()}
        parts: list[Mapping[str, Any]] = [{"inlineData": data, "thought": True}, {"text": "Here is your picture."}]
        if not work.wants(Trouble.EMPTY):
            parts.append({"inlineData": data})
        content = {"role": "model", "parts": parts}
        return answer | {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}

    async def _download(self, request: web.Request) -> Answer:
        self._check_key(request)
        if request.query.get("alt") != "media":
            raise _invalid("alt must be media.")
        return await self.give_file(request)

    async def _read(self, request: web.Request) -> Mapping[str, Any]:
        self._check_key(request)
        content = await request.read()
        if len(content) > _LARGEST_REQUEST:
            raise _invalid("Request payload size exceeds the limit: 104857600 bytes.")
        return read_json_object(request, content, _invalid)

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get("x-goog-api-key") or request.query.get("key")
        if given is None:
            raise Refusal(*_error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers."))
        if given != self.key:
            raise self.refusal_of(Trouble.WRONG_KEY)


@cache
def _signing_key(number: int) -> RSAPrivateKey:
    """Return a key, the same for the same number: making one takes a tenth of a second."""
    return generate_private_key(public_exponent=65_537, key_size=2_048)


def _encoded(part: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def _encoded_number(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(-(-number.bit_length() // 8))).rstrip(b"=").decode()


def _operation_name(work: Work) -> str:
    return f"{work.endpoint.partition(':')[0]}/operations/{work.id}"
