"""DashScope, Alibaba Cloud's Model Studio: tasks over JSON, and image models that answer at once.

Facts: Model Studio's pages on Wan, Qwen-Image, error codes and temporary files, and dashscope 2.0.2, November 2026. An
endpoint is `model@path`. A task is asked after without its path, is known for 24 hours, as its files are, and can be
cancelled only while it waits. There are no callbacks but through EventBridge, so everything is polled. Media may be
`data:` URIs where they are pictures; other files are uploaded to the service's own storage, for the one model.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import uuid4

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    find_object,
    kind_of_status,
    object_in,
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
    InputFile,
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)
from pixeldojo.providers.forms import FormFile, encode_form

# The service that answers with the result itself, and how long it may take to.
_AT_ONCE: Final = "services/aigc/multimodal-generation/generation"
_AT_ONCE_SECONDS: Final = 300.0
_UPLOAD_SECONDS: Final = 120.0
# What the pages on videos suggest; of pictures they say nothing. All questions of an account may be 20 a second.
_POLL_SECONDS: Final = {"video": 15.0}

_RUNNING: Final = frozenset({"PENDING", "RUNNING", "SUSPENDED"})
# By the first part of a code, `Throttling` of `Throttling.RateQuota`: what it means where the status does not say.
_KINDS: Final = {
    "DataInspectionFailed": UpstreamErrorKind.REFUSED_CONTENT,
    "IPInfringementSuspect": UpstreamErrorKind.REFUSED_CONTENT,
    "Arrearage": UpstreamErrorKind.OVER_LIMIT,
    "AllocationQuota": UpstreamErrorKind.OVER_LIMIT,
    "Throttling": UpstreamErrorKind.OVER_LIMIT,
    "InvalidApiKey": UpstreamErrorKind.UNAUTHORIZED,
    "AccessDenied": UpstreamErrorKind.UNAUTHORIZED,
}
_LONGEST_COST: Final = 200
_REJECTION: Final = re.compile(r"Invalid|BadRequest")
# The storage's files are told apart by their names; these types are not called like them.
_EXTENSIONS: Final = {"mpeg": "mp3", "quicktime": "mov", "x-wav": "wav", "x-matroska": "mkv"}
_POLICY_FIELDS: Final = {
    "OSSAccessKeyId": "oss_access_key_id",
    "Signature": "signature",
    "policy": "policy",
    "x-oss-object-acl": "x_oss_object_acl",
    "x-oss-forbid-overwrite": "x_oss_forbid_overwrite",
}


class DashscopeProvider:
    """The adapter."""

    name: str = "dashscope"
    is_resubmit_safe: bool = False

    def __init__(self, key: str, base_url: str = "https://dashscope.aliyuncs.com/api/v1") -> None:
        """Take the operator's key and the API's address with its version; both are of one region."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._headers = {"authorization": f"Bearer {key}"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Create a task, or have the result at once where the model's service gives it."""
        model, _, path = call.endpoint.partition("@")
        kind = str(call.output.get("kind"))
        is_at_once = path == _AT_ONCE
        headers = dict(self._headers)
        if not is_at_once:
            headers["x-dashscope-async"] = "enable"
        if _names_stored_file(call.arguments):
            headers["x-dashscope-ossresourceresolve"] = "enable"
        answer = await http.request(
            "POST",
            f"{self.base_url}/{path}",
            headers=headers,
            json={"model": model, **call.arguments},
            timeout_seconds=_AT_ONCE_SECONDS if is_at_once else 30.0,
        )
        if answer.status >= 300:
            raise self._refusal(answer)
        body = read_object(answer)
        if is_at_once:
            return self._finished(body)
        return Operation(
            id=read_id(object_in(body.get("output")), "task_id"),
            data={"kind": kind},
            can_cancel=True,
            poll_after_seconds=_POLL_SECONDS.get(kind),
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the task."""
        answer = await http.request("GET", self._url_of(operation), headers=self._headers)
        if answer.status >= 300:
            raise self._trouble(answer)
        body = read_object(answer)
        output = object_in(body.get("output"))
        status = str(output.get("task_status"))
        if status in _RUNNING:
            return Running(poll_after_seconds=_POLL_SECONDS.get(str(operation.data.get("kind"))))
        if status == "SUCCEEDED":
            return self._finished(body)
        if status == "FAILED":
            raise self._failure(output)
        if status in {"CANCELED", "UNKNOWN"}:
            why = "no longer knows the task" if status == "UNKNOWN" else "ended the task as cancelled"
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, f"DashScope {why}.", is_final=True)
        raise UpstreamError(UpstreamErrorKind.UNKNOWN, "DashScope answered with a status that is not known.")

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Take the task out of the queue, if it still waits there."""
        answer = await http.request("POST", f"{self._url_of(operation)}/cancel", headers=self._headers)
        if answer.status < 300:
            return CancelOutcome.CANCELED
        if (find_object(answer) or {}).get("code") == "UnsupportedOperation":
            return CancelOutcome.TOO_LATE
        raise self._trouble(answer)

    def wants_upload(self, file: InputFile) -> bool:
        """Pictures may stand in the request, other files not."""
        return file.kind != "image"

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Keep the file in the service's storage for two days, where only this model can read it; at most 1 GB.

        The storage is at another origin and takes a signed form instead of the key.
        """
        model = endpoint.partition("@")[0]
        url = f"{self.base_url}/uploads?action=getPolicy&model={model}"
        answer = await http.request("GET", url, headers=self._headers)
        if answer.status >= 300:
            raise self._refusal(answer)
        policy = object_in(read_object(answer).get("data"))
        host, folder = policy.get("upload_host"), policy.get("upload_dir")
        if not isinstance(host, str) or not isinstance(folder, str):
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "DashScope did not say where a file can be uploaded.")
        kind = file.content_type.partition("/")[2]
        name = f"{folder}/{uuid4().hex}.{_EXTENSIONS.get(kind, kind)}"
        fields = {field: str(policy.get(member)) for field, member in _POLICY_FIELDS.items()}
        fields |= {"key": name, "success_action_status": "200", "x-oss-content-type": file.content_type}
        form_type, form = encode_form(fields, [FormFile("file", "input", file.content_type, content)])
        stored = await http.request(
            "POST", host, headers={"content-type": form_type}, body=form, timeout_seconds=_UPLOAD_SECONDS
        )
        if stored.status != 200:
            message = f"DashScope's storage did not take a file ({stored.status})."
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, message)
        return f"oss://{name}"

    def _url_of(self, operation: Operation) -> str:
        return f"{self.base_url}/tasks/{operation.id}"

    def _finished(self, body: JsonObject) -> Finished:
        """Return the outputs that there are.

        Raises:
            UpstreamError: if the service says of each why there is none.
        """
        output = object_in(body.get("output"))
        files = _outputs(output)
        failed = [entry for entry in _entries(output.get("results")) if "code" in entry]
        if not files and (failed or "code" in body):
            raise self._failure(failed[0] if failed else body)
        return Finished(files, upstream_cost=_cost(body.get("usage")))

    def _failure(self, said: JsonObject) -> UpstreamError:
        """Work that was taken and ended badly: `code` and `message`."""
        code = str(said.get("code") or "")
        rejected = UpstreamErrorKind.REJECTED_INPUT if _REJECTION.match(code) else UpstreamErrorKind.UNAVAILABLE
        kind = _KINDS.get(code.partition(".")[0], rejected)
        why = plain(said.get("message"), hide=self._key) or plain(code, hide=self._key) or "it did not say why"
        return UpstreamError(kind, f"The model at DashScope failed: {why}", is_final=True)

    def _refusal(self, answer: HttpAnswer) -> UpstreamError:
        """A request that was turned away."""
        body = find_object(answer) or {}
        kind = _KINDS.get(str(body.get("code")).partition(".")[0], kind_of_status(answer.status))
        if kind == UpstreamErrorKind.UNAUTHORIZED:
            return UpstreamError(kind, "DashScope did not accept the operator's credentials.")
        said = plain(body.get("message"), hide=self._key)
        message = f"DashScope refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _trouble(self, answer: HttpAnswer) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        return UpstreamError(
            kind_of_status(answer.status),
            f"DashScope did not say how it goes ({answer.status}).",
            retry_after_seconds=retry_after_seconds(answer),
        )


def _names_stored_file(value: JsonValue) -> bool:
    if isinstance(value, str):
        return value.startswith("oss://")
    if isinstance(value, Mapping):
        return any(_names_stored_file(member) for member in value.values())
    return isinstance(value, Sequence) and any(_names_stored_file(item) for item in value)


def _entries(value: JsonValue) -> Sequence[JsonObject]:
    """Return the objects of a list, or an object that stands where a list may."""
    listed = value if isinstance(value, list) else [value]
    return [entry for entry in listed if isinstance(entry, Mapping)]


def _outputs(output: JsonObject) -> tuple[OutputFile, ...]:
    """Return the files of an answer: of videos, of image tasks, or of models that answer like a chat."""
    results = _entries(output.get("results"))
    messages = [object_in(choice.get("message")) for choice in _entries(output.get("choices"))]
    addresses = [
        output.get("video_url"),
        *(result.get(member) for result in results for member in ("url", "video_url")),
        *(part.get("image") for message in messages for part in _entries(message.get("content"))),
    ]
    return tuple(file for address in addresses for file in output_files(address))


def _cost(usage: JsonValue) -> str | None:
    """Return what is billed, in the service's own words."""
    told = [f"{name} {value}" for name, value in object_in(usage).items() if isinstance(value, str | int | float)]
    return ", ".join(told)[:_LONGEST_COST] or None
