"""Replicate: its predictions, over JSON.

Facts: Replicate's OpenAPI 1.0.0-a1, replicate.com/docs (webhooks, rate limits, data retention, files) and replicate
1.0.7, November 2026. An endpoint is `owner/name` for an official model and `owner/name:version` for any other. The
addresses that answers name are not used, so the token goes nowhere else. Outputs are gone after an hour.
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
from pixeldojo.providers.forms import FormFile, encode_form

_LARGEST_DATA_URI_BYTES: Final = 256 * 1024
_UPLOAD_SECONDS: Final = 120.0

_RUNNING: Final = frozenset({"starting", "processing"})
_STOPPED: Final = frozenset({"canceled", "aborted"})

# Where models put outputs that come as an object.
_OUTPUT_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "image": ("images", "image"),
    "video": ("video", "videos"),
    "audio": ("audio",),
    "model3d": ("mesh", "model_file", "glb", "model"),
}
# A prediction that moderation stopped has failed with a free text, and no code: these are the texts there are.
_REFUSAL = re.compile(
    r"nsfw|\(E005\)|flagged as sensitive|content (?:policy|moderation|was flagged)|safety (?:system|filter|checker)"
    r"|moderation",
    re.IGNORECASE,
)
_RESET = re.compile(r"resets in ~?([0-9]{1,6})s")
_PROGRESS = re.compile(r"([0-9]{1,3})%\|")


class ReplicateProvider:
    """The adapter."""

    name: str = "replicate"
    is_resubmit_safe: bool = False

    def __init__(self, token: str, base_url: str = "https://api.replicate.com/v1") -> None:
        """Take the operator's API token and the API's address with its version."""
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._headers = {"authorization": f"Bearer {token}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Create a prediction."""
        model, colon, version = call.endpoint.partition(":")
        path = "predictions" if colon else f"models/{model}/predictions"
        body: dict[str, JsonValue] = {"version": version} if colon else {}
        body["input"] = call.arguments
        if call.callback_url is not None:
            body |= {"webhook": call.callback_url, "webhook_events_filter": ["completed"]}
        answer = await http.request("POST", f"{self.base_url}/{path}", headers=self._headers, json=body)
        if answer.status >= 300:
            raise self._refusal(answer)
        prediction = read_object(answer)
        prediction_id = read_id(prediction, "id")
        kind = str(call.output.get("kind"))
        is_running = str(prediction.get("status")) in _RUNNING
        return Operation(
            id=prediction_id,
            data={"kind": kind},
            can_cancel=True,
            poll_after_seconds=None if is_running else 0.0,
            calls_back=call.callback_url is not None,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the prediction."""
        answer = await http.request("GET", self._url_of(operation), headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        return self._news(read_object(answer), str(operation.data.get("kind")))

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Stop the prediction; Replicate answers with what became of it."""
        answer = await http.request("POST", f"{self._url_of(operation)}/cancel", headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        status = str(read_object(answer).get("status"))
        if status in _STOPPED:
            return CancelOutcome.CANCELED
        return CancelOutcome.REQUESTED if status in _RUNNING else CancelOutcome.TOO_LATE

    def wants_upload(self, file: InputFile) -> bool:
        """Replicate takes `data:` URIs up to 256 KB."""
        return file.size_bytes > _LARGEST_DATA_URI_BYTES

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Keep the file at Replicate, which deletes it after about a day; it takes 100 MB."""
        form_type, form = encode_form({}, [FormFile("content", "input", file.content_type, content)])
        answer = await http.request(
            "POST",
            f"{self.base_url}/files",
            headers={**self._headers, "content-type": form_type},
            body=form,
            timeout_seconds=_UPLOAD_SECONDS,
        )
        if answer.status >= 300:
            raise self._refusal(answer)
        urls = read_object(answer).get("urls")
        address = urls.get("get") if isinstance(urls, Mapping) else None
        if not isinstance(address, str):
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "Replicate took a file and did not say where it is.")
        return address

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return the account's webhook secret."""
        url = f"{self.base_url}/webhooks/default/secret"
        answer = await http.request("GET", url, headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        key = read_object(answer).get("key")
        prefix, _, encoded = key.partition("_") if isinstance(key, str) else ("", "", "")
        try:
            return (base64.b64decode(encoded, validate=True),) if prefix == "whsec" and encoded else ()
        except binascii.Error:
            return ()

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the signature as Standard Webhooks 1.0.0 has it."""
        signed, given = read_signed(callback)
        right = [base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
        offered = [part.removeprefix("v1,").encode() for part in given if part.startswith("v1,")]
        if not any(hmac.compare_digest(one, other) for one in right for other in offered):
            raise ForgedCallback("The callback's signature is not Replicate's.")

    def _url_of(self, operation: Operation) -> str:
        return f"{self.base_url}/predictions/{operation.id}"

    def _news(self, prediction: JsonObject, kind: str) -> Running | Finished:
        """Return what a prediction says, or raise how it failed."""
        status = str(prediction.get("status"))
        if status in _RUNNING:
            return Running(_progress(prediction.get("logs")))
        if status == "succeeded":
            return Finished(_outputs(prediction, kind), upstream_cost=_cost(prediction))
        if status == "failed":
            raise self._failure(prediction)
        if status in _STOPPED:
            raise UpstreamError(
                UpstreamErrorKind.UNAVAILABLE, f"Replicate ended the prediction as {status}.", is_final=True
            )
        raise UpstreamError(UpstreamErrorKind.UNKNOWN, "Replicate answered with a status that is not known.")

    def _failure(self, prediction: JsonObject) -> UpstreamError:
        said = plain(prediction.get("error"), hide=self._token) or "it did not say why"
        refused = _REFUSAL.search(said) is not None
        kind = UpstreamErrorKind.REFUSED_CONTENT if refused else UpstreamErrorKind.UNAVAILABLE
        message = f"The model at Replicate failed: {said}"
        return UpstreamError(kind, message, is_final=True, upstream_cost=_cost(prediction))

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A request that was turned away."""
        kind = kind_of_status(answer.status)
        if kind == UpstreamErrorKind.UNAUTHORIZED:
            return UpstreamError(kind, "Replicate did not accept the operator's credentials.")
        body = find_object(answer) or {}
        said = plain(body.get("detail") or body.get("title"), hide=self._token)
        message = f"Replicate refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=_later(answer, said))

    def _trouble(self, answer: HttpAnswer) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        said = plain((find_object(answer) or {}).get("detail"), hide=self._token)
        return UpstreamError(
            kind_of_status(answer.status),
            f"Replicate did not say how it goes ({answer.status}).",
            retry_after_seconds=_later(answer, said),
        )


def _outputs(prediction: JsonObject, kind: str) -> tuple[OutputFile, ...]:
    """Return the outputs.

    Raises:
        UpstreamError: if they are there no more.
    """
    output = prediction.get("output")
    if output is None and prediction.get("data_removed") is True:
        gone = "Replicate has deleted the outputs, which it keeps for an hour."
        raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, gone, is_final=True)
    if not isinstance(output, Mapping):
        return output_files(output)
    members = (output.get(name) for name in (*_OUTPUT_MEMBERS.get(kind, ()), "url"))
    return next(filter(None, map(output_files, members)), ())


def _progress(logs: JsonValue) -> float | None:
    """Return what the last progress bar in the logs says."""
    found = _PROGRESS.findall(logs[-2_000:]) if isinstance(logs, str) else []
    return min(int(found[-1]) / 100, 1.0) if found else None


def _cost(prediction: JsonObject) -> str | None:
    metrics = prediction.get("metrics")
    seconds = metrics.get("predict_time") if isinstance(metrics, Mapping) else None
    return None if seconds is None else f"{seconds} s of prediction"


def _later(answer: HttpAnswer, said: str) -> float | None:
    """Return the wait that is asked for: in the header, else in the sentence."""
    reset = _RESET.search(said)
    return retry_after_seconds(answer) or (float(reset[1]) if reset else None)
