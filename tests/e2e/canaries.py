"""What must never be seen where it does not belong, and an upstream that repeats all it is given.

Owns the planted words and finding them again. Where they are planted, and who may see which, belongs to the test.
"""

import asyncio
import base64
import json
import struct
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from tests.e2e.harness import Answer
from tests.emulators.emulator import Refusal, Work
from tests.emulators.endpoints import endpoints_of
from tests.emulators.fal import FalEmulator
from tests.emulators.samples import Samples
from tests.emulators.trouble import Trouble
from tests.providers.pairs import PAIRS, whole_catalog

from pixeldojo.core.settings import variable_of

PROMPT: Final = "canary-of-the-prompt-7c1e"
SERVER_SECRET: Final = "canary-of-the-servers-own-secret-91af"
UPSTREAM_KEY: Final = "canary-id-of-fal:canary-secret-of-fal-2b60"
PASSWORD: Final = "canary-of-the-database-password-d4e8"
BROKER_PASSWORD: Final = "canary-of-the-broker-password-a3c5"
METRICS_TOKEN: Final = "canary-of-the-metrics-token-5f72"
HOOK: Final = "canary-in-the-webhooks-address-6d0b"


def _marked_picture() -> bytes:
    """A PNG of ours with a text in it, so that no other picture is like it."""
    picture = Samples().image
    text = b"Comment\0canary in the picture that nobody else sends"
    chunk = struct.pack(">I", len(text)) + b"tEXt" + text + struct.pack(">I", zlib.crc32(b"tEXt" + text))
    return picture[:33] + chunk + picture[33:]


PICTURE: Final = base64.b64encode(_marked_picture()).decode()
DATA_URI: Final = f"data:image/png;base64,{PICTURE}"


@dataclass(slots=True)
class Canaries:
    """The words, by what they are.

    Attributes:
        operators: Nobody but the operator has them; no answer holds one, and no line of a log.
        callers: Those of one caller: no answer to another holds one, and no line of a log.
    """

    operators: dict[str, str] = field(
        default_factory=lambda: {
            "the server's secret": SERVER_SECRET,
            "the upstream's key": UPSTREAM_KEY.partition(":")[2],
            "the database's password": PASSWORD,
            "the broker's password": BROKER_PASSWORD,
            "the metrics' token": METRICS_TOKEN,
        }
    )
    callers: dict[str, str] = field(
        default_factory=lambda: {"a prompt": PROMPT, "a data URI": PICTURE[60:120], "a webhook's address": HOOK}
    )

    @property
    def all(self) -> Mapping[str, str]:
        """Both."""
        return self.operators | self.callers


def seen_in(text: str, words: Mapping[str, str]) -> list[str]:
    """Return what of the words a text shows, plainly or in base64, each with what stands around it."""
    found = []
    for what, word in words.items():
        for form in (word, base64.b64encode(word.encode()).decode().rstrip("=")[:-2]):
            at = text.find(form)
            if at >= 0:
                found.append(f"{what}: …{text[max(0, at - 300) : at + len(form) + 40]}…")
    return found


def text_of(answer: Answer) -> str:
    """Return all that a caller got: headers and body."""
    return json.dumps(dict(answer.headers)) + answer.body.decode(errors="replace")


class RepeatingFal(FalEmulator):
    """fal, but that whatever goes wrong is told with the prompt, the key and an address of its network."""

    def refusal_of(self, trouble: Trouble) -> Refusal:
        return _repeated(super().refusal_of(trouble), self)

    def _error(self, work: Work) -> Refusal | None:
        refusal = super()._error(work)
        return None if refusal is None else _repeated(refusal, self)


def _repeated(refusal: Refusal, service: FalEmulator) -> Refusal:
    said = f"; you said {PROMPT} with {service.key} to {service.url}/internal"

    def more(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: f"{one}{said}" if name in {"detail", "msg", "error"} and isinstance(one, str) else more(one)
                for name, one in value.items()
            }
        return [more(one) for one in value] if isinstance(value, list) else value

    return Refusal(refusal.status, more(refusal.body), refusal.headers)


class Upstream:
    """The service on a thread of its own."""

    def __init__(self) -> None:
        pair = next(pair for pair in PAIRS if pair.name == "fal")
        self.model_id = pair.model_id
        self._loop = asyncio.new_event_loop()
        kinds = endpoints_of(whole_catalog(), "fal")
        self._service = RepeatingFal(kinds, key=UPSTREAM_KEY, work_seconds=0.2)
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream", daemon=True)
        self._settings = pair.settings

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._service.start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.go_away()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def address(self) -> str:
        """Where it is."""
        return self._service.url.removeprefix("http://")

    @property
    def settings(self) -> Mapping[str, str]:
        """What leads a node to it."""
        return {variable_of(name): value for name, value in self._settings(self._service).items()}

    @property
    def taken(self) -> list[str]:
        """The prompts of all that it was asked for and took."""
        return [str(work.arguments["prompt"]) for work in self._service.paid]

    def go_away(self) -> None:
        """Answer nobody from now on."""
        asyncio.run_coroutine_threadsafe(self._service.close(), self._loop).result(30)
