"""What services publish of their endpoints' inputs, as JSON Schema, and holding requests against it.

`published/<service>.json` maps an endpoint to its schema and to the page it was written from. What is not there was not
published where it could be seen; nothing is known of its members, and nothing of them is refused.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator


class PublishedSchemas:
    """The schemas of one service."""

    def __init__(self, service: str, always: Mapping[str, Any]) -> None:
        """Read them; `always` are the members that every endpoint takes."""
        path = Path(__file__).parent / "published" / f"{service}.json"
        listed: Mapping[str, Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        self.endpoints = frozenset(listed)
        self._validators = {
            endpoint: Draft202012Validator(
                {
                    "type": "object",
                    "properties": {**entry["properties"], **always},
                    "required": entry["required"],
                    "additionalProperties": False,
                }
            )
            for endpoint, entry in listed.items()
        }

    def problem_of(self, endpoint: str, arguments: object) -> tuple[str, str] | None:
        """Return the first member that does not fit, and why; None if all is well or nothing is known."""
        validator = self._validators.get(endpoint)
        if validator is None:
            return None
        for problem in validator.iter_errors(arguments):
            return ".".join(map(str, problem.instance_path)) or "body", problem.message
        return None


@cache
def published(service: str, *always: str) -> PublishedSchemas:
    """Return a service's schemas, read once; `always` are texts or switches, by `name` or `name?`, that it takes."""
    return PublishedSchemas(
        service,
        {name.rstrip("?"): {"type": "boolean" if name.endswith("?") else "string"} for name in always},
    )
