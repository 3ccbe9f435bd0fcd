"""OpenAI's images as a server on loopback.

After openai 3.54.0 and the types of its parameters, which drives it in tests/providers/test_openai_client.py. What a
model takes is what those types say of it.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from aiohttp import web
from tests.emulators.emulator import Answer, Emulator, Refusal, Work, read_json_object
from tests.emulators.trouble import Trouble

_BUSY_SECONDS: Final = 2
_QUIET_BUSY: Final = "3s"
_LARGEST_PICTURE: Final = 50_000_000
_LARGEST_MASK: Final = 4_000_000
_MOST_PICTURES: Final = 16
_PICTURE_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp"})
_FREE_SIZES: Final = frozenset({"gpt-image-2"})
_FIXED_SIZES: Final = frozenset({"auto", "1024x1024", "1536x1024", "1024x1536"})
_LONGEST_PROMPT: Final = 32_000


def _error(status: int, message: str, kind: str, code: str | None, param: str | None = None) -> tuple[int, object]:
    return status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _invalid(param: str, message: str) -> Refusal:
    return Refusal(*_error(400, message, "invalid_request_error", "invalid_value", param))


def _is_number(least: int, most: int) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    return check


def _is_one_of(*values: str) -> Callable[[object], bool]:
    return lambda value: value in values


def _is_prompt(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_PROMPT


_COMMON: Final[Mapping[str, Callable[[object], bool]]] = {
    "model": lambda value: isinstance(value, str),
    "prompt": _is_prompt,
    "n": _is_number(1, 10),
    "size": lambda value: isinstance(value, str),
    "quality": _is_one_of("low", "medium", "high", "auto"),
    "background": _is_one_of("transparent", "opaque", "auto"),
    "output_format": _is_one_of("png", "webp", "jpeg"),
    "output_compression": _is_number(0, 100),
    "user": lambda value: isinstance(value, str),
    "safety_identifier": lambda value: isinstance(value, str),
}
_GENERATIONS: Final = {**_COMMON, "moderation": _is_one_of("low", "auto")}
_EDITS: Final = {**_COMMON, "input_fidelity": _is_one_of("high", "low")}
_NUMBERS: Final = frozenset({"n", "output_compression"})


class OpenAiEmulator(Emulator):
    """The service. Its address, like the real one's, is followed by `/v1`."""

    name: ClassVar[str] = "openai"
    usual_key: ClassVar[str] = "sk-emulated"
    refusals: ClassVar[Mapping[Trouble, tuple[int, object, Mapping[str, str]]]] = {
        Trouble.BUSY: (
            *_error(429, "Rate limit reached for images.", "requests", "rate_limit_exceeded"),
            {"retry-after": str(_BUSY_SECONDS)},
        ),
        Trouble.BUSY_QUIET: (
            *_error(429, "Rate limit reached for images.", "requests", "rate_limit_exceeded"),
            {"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": _QUIET_BUSY},
        ),
        Trouble.AWAY: (*_error(503, "The engine is currently overloaded.", "server_error", None), {}),
        Trouble.BROKEN: (*_error(500, "The server had an error.", "server_error", "server_error"), {}),
        Trouble.QUOTA: (
            *_error(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
            {},
        ),
        Trouble.WRONG_KEY: (
            *_error(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
            {},
        ),
        Trouble.BAD_INPUT: (
            *_error(400, "The prompt is too long.", "invalid_request_error", "string_above_max_length", "prompt"),
            {},
        ),
        Trouble.MODERATED: (
            *_error(
                400,
                "Your request was rejected by the safety system. safety_violations=[violence].",
                "image_generation_user_error",
                "moderation_blocked",
            ),
            {},
        ),
    }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/images/generations", self._generate),
            web.post("/v1/images/edits", self._edit),
        ]

    def accepted_answer(self, work: Work) -> tuple[int, Mapping[str, Any]]:
        """Answer with the pictures, or with the refusal of what was drawn."""
        if work.wants(Trouble.MODERATED):
            refused = self.refusal_of(Trouble.MODERATED)
            assert isinstance(refused.body, dict)
            return refused.status, refused.body
        count = max(0, work.count - work.wants(Trouble.PARTIAL)) * (not work.wants(Trouble.EMPTY))
        picture = base64.b64encode(self.content_of(work)).decode()
        return 200, {
            "created": 1_777_896_000,
            "data": [{"b64_json": picture} for _ in range(count)],
            "background": "opaque",
            "output_format": work.arguments.get("output_format", "png"),
            "quality": "low",
            "size": "1024x1024",
            "usage": {
                "input_tokens": 12,
                "output_tokens": 272,
                "total_tokens": 284,
                "input_tokens_details": {"image_tokens": 0, "text_tokens": 12},
            },
        }

    async def _generate(self, request: web.Request) -> Answer:
        self._check_key(request)
        given = read_json_object(request, await request.read(), lambda why: _invalid("body", why))
        return await self._make(request, "images/generations", given, _GENERATIONS, {})

    async def _edit(self, request: web.Request) -> Answer:
        self._check_key(request)
        if request.content_type != "multipart/form-data":
            raise _invalid("body", f"Content-Type is {request.content_type}, not multipart/form-data")
        given: dict[str, Any] = {}
        files: dict[str, list[web.FileField]] = {}
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                files.setdefault(name.removesuffix("[]"), []).append(value)
            elif isinstance(value, str):
                given[name] = int(value) if name in _NUMBERS and value.isdecimal() else value
        return await self._make(request, "images/edits", given, _EDITS, _check_files(files))

    async def _make(
        self,
        request: web.Request,
        path: str,
        given: Mapping[str, Any],
        known: Mapping[str, Callable[[object], bool]],
        files: Mapping[str, list[str]],
    ) -> Answer:
        _check_members(given, known)
        endpoint = f"{given['model']}@{path}"
        if endpoint not in self.kinds:
            message = f"The model '{given['model']}' does not exist"
            raise Refusal(*_error(404, message, "invalid_request_error", "model_not_found", "model"))
        _check_model(given)
        work = Work(
            id=secrets.token_hex(12),
            endpoint=endpoint,
            kind=self.kinds[endpoint],
            arguments={**given, **files},
            wish=self.wish_in(given),
            callback_url=None,
            count=self.count_in(given),
            is_done=True,
        )
        return await self.take(request, work)

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            raise self.refusal_of(Trouble.WRONG_KEY)


def _check_members(given: Mapping[str, Any], known: Mapping[str, Callable[[object], bool]]) -> None:
    for name, value in given.items():
        if name not in known:
            raise Refusal(
                *_error(400, f"Unknown parameter: '{name}'.", "invalid_request_error", "unknown_parameter", name)
            )
        if not known[name](value):
            raise _invalid(name, f"Invalid value: {value!r}.")
    for name in ("prompt", "model"):
        if name not in given:
            message = f"Missing required parameter: '{name}'."
            raise Refusal(*_error(400, message, "invalid_request_error", "missing_required_parameter", name))


def _check_model(given: Mapping[str, Any]) -> None:
    """Refuse what not every model takes, and what does not go together."""
    model, size, shown = given["model"], given.get("size", "auto"), given.get("output_format", "png")
    if not (_is_free_size(size) if model in _FREE_SIZES else False) and size not in _FIXED_SIZES:
        raise _invalid("size", f"Invalid size '{size}' for {model}.")
    if "input_fidelity" in given and model == "gpt-image-2":
        message = "gpt-image-2 takes no input_fidelity."
        raise Refusal(*_error(400, message, "invalid_request_error", "invalid_input_fidelity_model", "input_fidelity"))
    if given.get("input_fidelity") == "high" and model == "gpt-image-1-mini":
        raise _invalid("input_fidelity", "gpt-image-1-mini takes low only.")
    if "output_compression" in given and shown == "png":
        raise _invalid("output_compression", "Compression less than 100 is not supported for PNG output format.")
    if given.get("background") == "transparent" and shown == "jpeg":
        raise _invalid("background", "Transparent background is not supported for JPEG output format.")


def _is_free_size(size: str) -> bool:
    width, _, height = size.partition("x")
    if not width.isdecimal() or not height.isdecimal():
        return False
    sides = sorted((int(width), int(height)))
    return (
        all(side % 16 == 0 for side in sides) and sides[1] <= 3 * sides[0] and sides[1] <= 3_840 and sides[0] <= 2_160
    )


def _check_files(files: Mapping[str, list[web.FileField]]) -> dict[str, list[str]]:
    """Return the files as `data:` URIs, by field."""
    unknown = sorted(set(files) - {"image", "mask"})
    if unknown:
        raise _invalid(unknown[0], f"Unknown file: '{unknown[0]}'.")
    if not 1 <= len(files.get("image", ())) <= _MOST_PICTURES:
        raise _invalid("image", f"Give 1 to {_MOST_PICTURES} images.")
    if len(files.get("mask", ())) > 1:
        raise _invalid("mask", "Give one mask.")
    taken: dict[str, list[str]] = {}
    for name, parts in files.items():
        largest, types = (_LARGEST_MASK, {"image/png"}) if name == "mask" else (_LARGEST_PICTURE, _PICTURE_TYPES)
        for part in parts:
            content = part.file.read()
            if part.content_type not in types or len(content) >= largest:
                raise _invalid(name, f"Invalid file: {part.content_type}, {len(content)} bytes.")
            uri = f"data:{part.content_type};base64,{base64.b64encode(content).decode()}"
            taken.setdefault(name, []).append(uri)
    return taken
