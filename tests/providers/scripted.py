"""An HTTP client for adapters that answers what a test says."""

from collections.abc import Mapping

from pixeldojo.core.json_types import JsonObject
from pixeldojo.providers.contract import HttpAnswer


class Scripted:
    """An HTTP client that gives the same answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: HttpAnswer) -> None:
        self._answers = list(answers)
        self.urls: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[bytes | None] = []

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpAnswer:
        self.urls.append(url)
        self.headers.append(headers or {})
        self.bodies.append(body)
        return self._answers.pop(0)
