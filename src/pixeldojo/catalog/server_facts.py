"""What the texts for language models say about the server they are served by; handed in, so that they are true."""

from collections.abc import Callable
from dataclasses import dataclass

from pixeldojo.catalog.schema import Model


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: `GET`, `/api/v1/models`, and what it is for in a few words."""

    method: str
    path: str
    summary: str


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server.

    Attributes:
        base_url: Address that clients use, without a slash at the end.
        endpoints: Every route under /api/v1 that callers use.
        pages: Name and address of each page for people that stands beside these texts.
        rate_per_minute: Requests a minute for a key that has no rate of its own.
        public_rate_per_minute: Requests a minute from one address where no key is needed.
        retention_hours: How long a job and its files live after it ended.
        longest_wait_seconds: The most that `Prefer: wait` holds an answer.
        max_body_bytes: Largest request body.
        max_media_bytes: Largest media file.
        has_upstream: Whether a live key can run a model here.
    """

    base_url: str
    endpoints: tuple[Endpoint, ...]
    pages: tuple[tuple[str, str], ...]
    rate_per_minute: int
    public_rate_per_minute: int
    retention_hours: float
    longest_wait_seconds: int
    max_body_bytes: int
    max_media_bytes: int
    has_upstream: Callable[[Model], bool]
