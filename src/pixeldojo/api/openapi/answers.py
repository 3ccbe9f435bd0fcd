"""What surrounds every answer in the document: its headers, the errors that any request can meet, and sharing parts.

Owns `components` other than schemas: whatever many operations say in the same words is said once and referred to.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pixeldojo.api.responses import error_answers
from pixeldojo.api.shapes import Schema

_ERROR_SCHEMA: Final = {"$ref": "#/components/schemas/Error"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_RATE: Final = {
    "X-RateLimit-Limit": "Requests a minute.",
    "X-RateLimit-Remaining": "Requests left in this window.",
    "X-RateLimit-Reset": "Unix seconds at which the window ends.",
}
# Where the counting is away, or an address leads nowhere before it is counted, there is nothing to tell.
_UNSURE_OF_RATE: Final = frozenset({"404", "500", "503"})


def _rate_headers(*, is_sure: bool) -> dict[str, Schema]:
    return {
        name: {"description": description, "required": is_sure, "schema": _COUNT} for name, description in _RATE.items()
    }


HEADERS: Final[Mapping[str, Schema]] = {
    "X-Request-Id": {
        "description": "Finds this request in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-z]{32}$"},
    },
    **_rate_headers(is_sure=True),
    **{f"{name}.optional": header for name, header in _rate_headers(is_sure=False).items()},
    "Retry-After": {
        "description": "Seconds until another try is welcome.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "Says `Bearer`.", "required": True, "schema": {"type": "string"}},
}
"""The headers that answers share, by name; `.optional` marks the form in which one may be missing."""


@dataclass(slots=True)
class Sharing:
    """The parts of one document that operations refer to."""

    parameters: dict[str, Schema] = field(default_factory=dict)
    responses: dict[str, Schema] = field(default_factory=dict)
    links: dict[str, Schema] = field(default_factory=dict)

    def parameter(self, described: Schema) -> Schema:
        """Return a reference to a path or header parameter; one that filters a list belongs to its operation."""
        if described["in"] == "query":
            return described
        name = described["name"].replace("-", "")
        kept = self.parameters.setdefault(name, described)
        return {"$ref": f"#/components/parameters/{name}"} if kept == described else described

    def response(self, name: str, described: Schema) -> Schema:
        """Return a reference to a response."""
        kept = self.responses.setdefault(name, described)
        assert kept == described, f"two responses want to be called {name}"
        return {"$ref": f"#/components/responses/{name}"}


def complete_answers(responses: Schema, sharing: Sharing, *, is_counted: bool) -> Schema:
    """Return the answers of an operation with the headers and errors that all have.

    Args:
        is_counted: Whether requests count against a rate.
    """
    known = dict(responses)
    # Parameters out of range are answered with 400 `validation_error`, not with FastAPI's own 422.
    if "HTTPValidationError" in str(known.get("422")):
        del known["422"]
    known = {**{str(status): fault for status, fault in error_answers(500, 503).items()}, **known}
    return {status: _completed(status, known[status], sharing, is_counted) for status in sorted(known)}


def _completed(status: str, described: Schema, sharing: Sharing, is_counted: bool) -> Schema:
    content = described.get("content", {})
    headers = {**described.get("headers", {}), **_headers(status, is_counted=is_counted)}
    whole = {**described, "headers": headers}
    if _links(whole, sharing):
        whole["links"] = {name: {"$ref": f"#/components/links/{name}"} for name in described["links"]}
    is_error = content.get("application/json", {}).get("schema") == _ERROR_SCHEMA
    return sharing.response(f"Error{status}", whole) if is_error and is_counted else whole


def _links(described: Schema, sharing: Sharing) -> bool:
    found = described.get("links", {})
    for name, link in found.items():
        assert sharing.links.setdefault(name, link) == link, f"two links want to be called {name}"
    return bool(found)


def _headers(status: str, *, is_counted: bool) -> Schema:
    names = ["X-Request-Id"]
    if is_counted:
        names += [f"{name}.optional" if status in _UNSURE_OF_RATE else name for name in _RATE]
    if status in {"429", "503"}:
        names.append("Retry-After")
    if status == "401":
        names.append("WWW-Authenticate")
    return {re.sub(r"\.optional$", "", name): {"$ref": f"#/components/headers/{name}"} for name in names}
