"""OpenAI: its image models, which answer at once with the pictures themselves.

Facts: openai 3.54.0 (its images, their types, the rules of its retries) and OpenAI's image guide, November 2026. An
endpoint is `model@images/generations`, whose body is JSON, or `model@images/edits`, whose body is a form with the
pictures in it. Nothing can be asked about afterwards, stopped, or called back.
"""

import re
from collections.abc import Mapping
from typing import Final

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    find_object,
    inline_file,
    kind_of_status,
    objects_in,
    plain,
    read_object,
    retry_after_seconds,
)
from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpAnswer,
    HttpClient,
    Operation,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.forms import FormFile, encode_form, read_data_uri

_EDITS: Final = "images/edits"
_ANSWER_SECONDS: Final = 600.0

# A field of a form whose value is a file, and what OpenAI calls it: a list always has the brackets.
_FILE_FIELDS: Final = {"image": "image[]", "mask": "mask"}

_REFUSALS: Final = frozenset({"moderation_blocked", "content_policy_violation"})
# A 429 that no waiting mends.
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "project_spend_limit_exceeded"})
_LIMITS: Final = ("requests", "images", "tokens")
_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,5}(?:\.\d{1,9})?)s)?(?:(\d{1,7})ms)?")


class OpenAiProvider:
    """The adapter."""

    name: str = "openai"
    is_resubmit_safe: bool = False
    largest_media_bytes: int = 200_000_000
    largest_answer_bytes: int = 200_000_000

    def __init__(self, key: str, base_url: str = "https://api.openai.com/v1") -> None:
        """Take the operator's API key and the API's address with its version."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._headers = {"authorization": f"Bearer {key}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Ask for the pictures and wait for them."""
        model, _, path = call.endpoint.partition("@")
        fields: JsonObject = {"model": model, **call.arguments}
        url = f"{self.base_url}/{path}"
        if path == _EDITS:
            content_type, body = _form(fields)
            headers = {**self._headers, "content-type": content_type}
            answer = await http.request("POST", url, headers=headers, body=body, timeout_seconds=_ANSWER_SECONDS)
        else:
            answer = await http.request(
                "POST", url, headers=self._headers, json=fields, timeout_seconds=_ANSWER_SECONDS
            )
        if answer.status >= 300:
            raise self._refusal(answer)
        found = read_object(answer)
        outputs = tuple(file for entry in objects_in(found.get("data")) for file in inline_file(entry.get("b64_json")))
        return Finished(outputs, upstream_cost=_cost(found))

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """OpenAI keeps nothing that could be asked about."""
        raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "OpenAI answers at once and keeps nothing.", is_final=True)

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """OpenAI cannot be stopped."""
        return CancelOutcome.NOT_SUPPORTED

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A request that was turned away, by the error's code or else by the status."""
        body = (find_object(answer) or {}).get("error")
        error = body if isinstance(body, Mapping) else {}
        code = str(error.get("code"))
        if code in _REFUSALS:
            return UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, "OpenAI's moderation refused the request.")
        kind = kind_of_status(answer.status)
        if kind == UpstreamErrorKind.UNAUTHORIZED or code in _SPENT:
            return UpstreamError(
                UpstreamErrorKind.UNAUTHORIZED,
                "OpenAI did not accept the operator's credentials, or the account has used up what it may spend.",
            )
        said = plain(error.get("message"), hide=self._key)
        message = f"OpenAI refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=_later(answer))


def _form(fields: JsonObject) -> tuple[str, bytes]:
    """Return content type and body of an edit."""
    texts: dict[str, str] = {}
    files: list[FormFile] = []
    for name, value in fields.items():
        if name not in _FILE_FIELDS:
            texts[name] = _text(value)
            continue
        for number, address in enumerate(value if isinstance(value, list) else [value]):
            content_type, content = read_data_uri(address)
            file_name = f"{name}-{number}.{content_type.rpartition('/')[2]}"
            files.append(FormFile(_FILE_FIELDS[name], file_name, content_type, content))
    return encode_form(texts, files)


def _text(value: JsonValue) -> str:
    """Return a value as forms have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cost(answer: JsonObject) -> str | None:
    usage = answer.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, Mapping) else None
    return f"{tokens} tokens" if isinstance(tokens, int) else None


def _later(answer: HttpAnswer) -> float | None:
    """Return the wait that is asked for: in milliseconds, in seconds, or until a limit that is reached is reset."""
    milliseconds = answer.headers.get("retry-after-ms", "")
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", milliseconds):
        return float(milliseconds) / 1_000
    given = retry_after_seconds(answer)
    if given is not None:
        return given
    resets = [
        _seconds(answer.headers.get(f"x-ratelimit-reset-{limit}", ""))
        for limit in _LIMITS
        if answer.headers.get(f"x-ratelimit-remaining-{limit}") == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _seconds(text: str) -> float | None:
    """Return a duration such as `1m30s` or `250ms` in seconds."""
    found = _DURATION.fullmatch(text)
    if found is None or not text:
        return None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + seconds + milliseconds / 1_000
