"""What every answer must keep, whatever was asked: the shape of errors, the headers, silence about our insides, and
the server's own OpenAPI document.

Owns the comparison of answers with the document. What a given request should be answered is for the tests.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jsonschema_rs import Draft202012Validator
from tests.api.asgi import Reply

CANARY: Final = "canary-7f3a"
"""Planted in faults, secrets and places that no answer may repeat."""

_INSIDES: Final = re.compile(
    r"Traceback|File \"|sqlalchemy|sqlite|asyncpg|postgres|aiosqlite|redis|pydantic|starlette|fastapi|asyncio"
    r"|obstore|\bSELECT\b|\bINSERT\b|\bUPDATE\b|site-packages|/src/|/tmp/|/home/|/work/|set_int_max|object at 0x"
    rf"|{CANARY}",
    re.IGNORECASE,
)
_REQUEST_ID: Final = re.compile(r"req_[0-9a-z]{32}")
_METHODS_WITHOUT_OPERATION: Final = frozenset({404, 405, 429})
# Addresses that only people open; the document is for programs.
_FOR_PEOPLE: Final = frozenset({"/"})
_UNCOUNTED: Final = ("/healthz", "/readyz", "/metrics", "/api/v1/callbacks/")
Schema = dict[str, Any]


class Promises:
    """Checks answers against an OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self._components = {**document["components"], "schemas": _closed(document["components"]["schemas"])}
        # As OpenAPI says, an address that is written out counts before one with parameters.
        self._templates = [(_pattern(path), path) for path in sorted(document["paths"], key=lambda path: "{" in path)]
        self._validators: dict[str, Draft202012Validator] = {}
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, reply: Reply) -> None:
        """Raise an AssertionError for the first promise that an answer breaks."""
        assert _REQUEST_ID.fullmatch(reply.header("x-request-id") or "")
        assert reply.header("x-content-type-options") == "nosniff"
        _check_rate_headers(reply)
        self._check_error(reply)
        if reply.body and "json" in (reply.header("content-type") or ""):
            assert not _INSIDES.search(_prose(reply)), f"an answer tells of our insides: {_prose(reply)}"
        self._check_operation(reply)

    def operation(self, method: str, path: str) -> tuple[str, Schema] | None:
        """Return the path's template and what the document says of the method there."""
        for pattern, template in self._templates:
            if pattern.fullmatch(path) and method.isupper():
                # A server answers HEAD as it answers GET, without the body; the document need not repeat it.
                wanted = method.lower() if method.lower() in self.document["paths"][template] else "get"
                found = self.document["paths"][template].get(wanted if method == "HEAD" else method.lower())
                return None if found is None else (template, found)
        return None

    def validate(self, schema: Schema, value: object) -> None:
        """Raise an AssertionError when a value does not fit a schema of the document, or holds more than it says."""
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            validator = Draft202012Validator({**schema, "components": self._components}, validate_formats=True)
            self._validators[key] = validator
        problems = [f"{problem.instance_path}: {problem.message}" for problem in validator.iter_errors(value)]
        assert not problems, problems

    def resolved(self, described: Schema) -> Schema:
        """Return what a reference stands for; anything else as it is."""
        if "$ref" not in described:
            return described
        found: Schema = self.document
        for part in described["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _check_header(self, name: str, header: Schema, value: str | None) -> None:
        if value is None:
            assert not header.get("required"), f"{name} is promised and missing"
            return
        self.validate(header["schema"], int(value) if header["schema"]["type"] == "integer" else value)

    def _check_error(self, reply: Reply) -> None:
        if reply.status < 400 or not reply.body or reply.path == "/readyz":
            return
        assert reply.header("content-type") == "application/json"
        assert set(reply.json) == {"error"}
        error = reply.error
        assert error.keys() - {"details"} == {"code", "message", "status", "requestId"}
        assert error["status"] == reply.status
        assert error["requestId"] == reply.header("x-request-id")
        assert len(error["message"]) > 10
        assert error.get("details") != []
        self.validate({"$ref": "#/components/schemas/Error"}, reply.json)

    def _check_operation(self, reply: Reply) -> None:
        found = self.operation(reply.method, reply.path)
        if found is None:
            is_known = reply.status in _METHODS_WITHOUT_OPERATION or reply.path in _FOR_PEOPLE
            assert is_known, f"{reply.method} {reply.path} is not in the document"
            return
        template, operation = found
        assert str(reply.status) in operation["responses"], f"{reply.method} {template} does not tell of {reply.status}"
        described = self.resolved(operation["responses"][str(reply.status)])
        self.seen.add((reply.method, template, reply.status))
        for name, header in described.get("headers", {}).items():
            self._check_header(name, self.resolved(header), reply.header(name))
        if reply.method == "HEAD" or not reply.body:
            return
        content = described.get("content", {})
        media_type = (reply.header("content-type") or "").partition(";")[0]
        fitting = [kind for kind in content if kind in {media_type, f"{media_type.partition('/')[0]}/*"}]
        assert fitting, f"{media_type} is not among {list(content)}"
        if media_type == "application/json" and "schema" in content[fitting[0]]:
            self.validate(content[fitting[0]]["schema"], reply.json)


def _check_rate_headers(reply: Reply) -> None:
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    given = [reply.header(name) for name in names]
    if given == [None, None, None]:
        # Health is asked too often to count, and upstreams are callers of nobody's; where counting breaks there is
        # nothing to tell.
        assert reply.path.startswith(_UNCOUNTED) or reply.status in {500, 503}
        return
    limit, remaining, reset = (int(value or "") for value in given)
    assert 0 <= remaining <= limit
    assert reset > 1_700_000_000
    # How many streams a key may have open is another limit than how often it may ask.
    if reply.status == 429 and not reply.path.endswith("/events"):
        assert remaining == 0
        assert int(reply.header("retry-after") or "") >= 1


def _prose(reply: Reply) -> str:
    """Return what the server says in its own words: not the input, addresses and schemas it gives back."""
    if reply.status >= 400:
        return json.dumps(reply.json, ensure_ascii=False)
    return json.dumps(list(_own_words(reply.json)), ensure_ascii=False)


def _own_words(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("message"), str):
            yield value["message"]
        for name, member in value.items():
            if name not in {"input", "requestSchema", "schema"}:
                yield from _own_words(member)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


def _closed(schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas as they bind the server: nothing may be there that they do not name."""
    built_upon = set(re.findall(r'"allOf": \[{"\$ref": "#/components/schemas/(\w+)"', json.dumps(schemas)))
    closed: dict[str, Schema] = {}
    for name, schema in schemas.items():
        if "allOf" in schema:
            closed[name] = {**schema, "unevaluatedProperties": False}
        elif name in built_upon:
            closed[name] = schema
        else:
            closed[name] = _closed_object(schema)
    return closed


def _closed_object(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed_object(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: _closed_object(member) for name, member in schema.items()}
    if "properties" in inner and "additionalProperties" not in inner:
        inner["additionalProperties"] = False
    return inner
