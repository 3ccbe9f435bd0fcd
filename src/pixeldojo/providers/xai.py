"""xAI: Grok Imagine, pictures at once and clips later, over JSON.

Facts: docs.x.ai (image and video generation, debugging), xai-sdk 1.21.0 and vercel/ai's packages/xai, November 2026.
An endpoint is `model@path`. What begins with `images/` answers at once with the addresses of the pictures; what begins
with `videos/` answers with an id. Nothing can be stopped, and nothing is called back.
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
    output_files,
    plain,
    read_id,
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
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)

_IMAGES: Final = "images/"
_IMAGE_SECONDS: Final = 300.0

# Texts, for no code tells these from other faults of a request.
_REFUSAL = re.compile(r"moderation|violates .{0,40}guidelines|safety_check|safety check", re.IGNORECASE)
_WRONG_KEY = re.compile(r"api key", re.IGNORECASE)
_REFUSED: Final = "xAI's moderation refused the content."


class XaiProvider:
    """The adapter."""

    name: str = "xai"
    is_resubmit_safe: bool = False

    def __init__(self, key: str, base_url: str = "https://api.x.ai/v1") -> None:
        """Take the operator's API key and the API's address with its version."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._headers = {"authorization": f"Bearer {key}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Ask for pictures and wait for them, or begin a clip."""
        model, _, path = call.endpoint.partition("@")
        body: JsonObject = {"model": model, **call.arguments}
        is_image = path.startswith(_IMAGES)
        seconds = _IMAGE_SECONDS if is_image else 30.0
        url = f"{self.base_url}/{path}"
        answer = await http.request("POST", url, headers=self._headers, json=body, timeout_seconds=seconds)
        if answer.status >= 300:
            raise self._refusal(answer)
        accepted = read_object(answer)
        if is_image:
            return _pictures(accepted)
        return Operation(id=read_id(accepted, "request_id"))

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the clip; a 202 need not have a body."""
        answer = await http.request("GET", f"{self.base_url}/videos/{operation.id}", headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        if answer.status == 202:
            return _running(find_object(answer) or {})
        return self._news(read_object(answer))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """XAI cannot be stopped."""
        return CancelOutcome.NOT_SUPPORTED

    def _news(self, told: JsonObject) -> Running | Finished:
        """Return what a status says, or raise how the work failed."""
        video = told.get("video")
        status = told.get("status", "done" if isinstance(video, Mapping) and video.get("url") else None)
        if status == "pending":
            return _running(told)
        if status == "done":
            if isinstance(video, Mapping) and video.get("respect_moderation") is False:
                raise _moderated(told)
            return Finished(output_files(video), upstream_cost=_cost(told))
        if status == "failed":
            raise self._failure(told.get("error"))
        if status == "expired":
            gone = "xAI has deleted the clip, which it keeps for a day."
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, gone, is_final=True)
        raise UpstreamError(UpstreamErrorKind.UNKNOWN, "xAI answered with a status that is not known.")

    def _failure(self, error: JsonValue) -> UpstreamError:
        given = error if isinstance(error, Mapping) else {}
        said = plain(given.get("message"), hide=self._key) or "it did not say why"
        if _REFUSAL.search(said):
            return UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, _REFUSED, is_final=True)
        is_ours = given.get("code") == "invalid_argument"
        kind = UpstreamErrorKind.REJECTED_INPUT if is_ours else UpstreamErrorKind.UNAVAILABLE
        return UpstreamError(kind, f"The model at xAI failed: {said}", is_final=True)

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A request that was turned away. A wrong key is a 400 here, and refused content a 400 or 403."""
        said = plain(_sentence(find_object(answer) or {}), hide=self._key)
        kind = kind_of_status(answer.status)
        if answer.status < 500 and _REFUSAL.search(said):
            return UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, _REFUSED)
        if kind == UpstreamErrorKind.UNAUTHORIZED or (answer.status == 400 and _WRONG_KEY.search(said)):
            return UpstreamError(UpstreamErrorKind.UNAUTHORIZED, "xAI did not accept the operator's credentials.")
        message = f"xAI refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _trouble(self, answer: HttpAnswer) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        return UpstreamError(
            kind_of_status(answer.status),
            f"xAI did not say how it goes ({answer.status}).",
            retry_after_seconds=retry_after_seconds(answer),
        )


def _pictures(answer: JsonObject) -> Finished:
    """Return the pictures that moderation left.

    Raises:
        UpstreamError: if it left none.
    """
    entries = objects_in(answer.get("data"))
    allowed = [entry for entry in entries if entry.get("respect_moderation") is not False]
    if entries and not allowed:
        raise _moderated(answer)
    return Finished(tuple(file for entry in allowed for file in _picture(entry)), upstream_cost=_cost(answer))


def _moderated(answer: JsonObject) -> UpstreamError:
    """Work that was done, is charged, and is not given out."""
    return UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, _REFUSED, is_final=True, upstream_cost=_cost(answer))


def _picture(entry: JsonObject) -> tuple[OutputFile, ...]:
    return output_files(entry) or inline_file(entry.get("b64_json"))


def _running(told: JsonObject) -> Running:
    percent = told.get("progress")
    if not isinstance(percent, int | float) or isinstance(percent, bool) or not 0 <= percent <= 100:
        percent = None
    return Running(None if percent is None else percent / 100)


def _sentence(body: JsonObject) -> JsonValue:
    """Return what an error says, in any of its three shapes."""
    error = body.get("error")
    return error.get("message") if isinstance(error, Mapping) else error


def _cost(answer: JsonObject) -> str | None:
    usage = answer.get("usage")
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, Mapping) else None
    return f"{ticks} ticks of a US dollar" if isinstance(ticks, int) else None
