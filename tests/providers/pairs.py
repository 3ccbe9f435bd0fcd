"""Every real service: its adapter, the emulator of it, and what is particular to it. A new provider is a row here.

Owns the rows. What is expected of all of them is in test_troubles.py and its neighbours.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from tests.emulators.dashscope import DashscopeEmulator
from tests.emulators.emulator import Emulator
from tests.emulators.endpoints import endpoints_of
from tests.emulators.fal import FalEmulator
from tests.emulators.google import GoogleEmulator
from tests.emulators.magnific import MagnificEmulator
from tests.emulators.openai import OpenAiEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.runware import RunwareEmulator
from tests.emulators.samples import Samples
from tests.emulators.trouble import Trouble
from tests.emulators.wavespeed import WaveSpeedEmulator
from tests.emulators.xai import XaiEmulator

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.json_types import JsonObject
from pixeldojo.providers.contract import RealProvider
from pixeldojo.providers.dashscope import DashscopeProvider
from pixeldojo.providers.fal import FalProvider
from pixeldojo.providers.google import GoogleProvider
from pixeldojo.providers.magnific import MagnificProvider
from pixeldojo.providers.openai import OpenAiProvider
from pixeldojo.providers.replicate import ReplicateProvider
from pixeldojo.providers.runware import RunwareProvider
from pixeldojo.providers.wavespeed import WaveSpeedProvider
from pixeldojo.providers.xai import XaiProvider


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ends, and what the service was asked to do for it.

    Attributes:
        code: The error's code; None where the job is completed.
        paid: How many requests the service took.
        outputs: How many files the caller gets.
    """

    code: str | None
    paid: int
    outputs: int = 0


DONE: Final = Ending(None, 1, 2)
"""How a job ends that nothing happens to, where two files are asked for; see `Pair.done`."""


@dataclass(frozen=True, slots=True)
class OtherFile:
    """A model that takes a file which is no picture, of a service that wants such files uploaded.

    Attributes:
        given: The rest of its input.
        parameter: Where the file goes.
        kind: What it is.
    """

    model_id: str
    given: JsonObject
    parameter: str
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """An adapter and an emulator of the same service.

    Attributes:
        model_id: A model of the catalog that it serves, with a prompt and a picture that may be left out.
        given: An input of it.
        outputs: How many files that input asks for; two wherever the service makes several.
        settings: What an operator sets so that live keys reach the emulator.
        lacks: Troubles that the service cannot have.
        otherwise: Where its facts lead to another ending than usual; the reason stands beside each.
        can_cancel: Whether the service can be told to stop.
        hands_out_keys: Whether the service says what its callbacks are signed with; else the operator does.
        picture: The parameter that takes a picture.
        picture_model_id: The model whose parameter that is, where the first one's wants larger pictures than ours.
        names_files: Whether its answers name addresses of the outputs, for anyone to fetch.
        answers_at_once: Whether a submit is answered with the outputs, so that nothing is ever asked about.
        asks_by: The HTTP method of questions how it goes.
        other_file: What is uploaded, where pictures are not.
        way: Of a service that works in two ways, the one that is tried beside the other.
    """

    name: str
    adapter: type[RealProvider]
    emulator: Callable[..., Emulator]
    provider: Callable[[Emulator], RealProvider]
    settings: Callable[[Emulator], Mapping[str, str]]
    model_id: str
    given: JsonObject
    outputs: int = 2
    lacks: frozenset[Trouble] = frozenset()
    otherwise: Mapping[Trouble, Ending] = field(default_factory=dict)
    can_cancel: bool = True
    hands_out_keys: bool = True
    picture: str = "image_url"
    picture_model_id: str = ""
    names_files: bool = True
    answers_at_once: bool = False
    asks_by: str = "GET"
    other_file: OtherFile | None = None
    way: str = ""

    @property
    def done(self) -> Ending:
        """How a job ends that nothing happens to."""
        return Ending(None, 1, self.outputs)

    def taking_a_picture(self) -> "Pair":
        """Return the pair with the model that takes our pictures."""
        return replace(self, model_id=self.picture_model_id) if self.picture_model_id else self

    def with_picture(self, address: str) -> dict[str, Any]:
        """Return what gives the model a picture."""
        return {self.picture: [address] if self.picture.endswith("s") else address}

    def open_emulator(self, **options: object) -> Emulator:
        """Return an emulator with the endpoints that the catalog names."""
        return self.emulator(endpoints_of(whole_catalog(), self.name), **options)


@cache
def whole_catalog() -> Catalog:
    """The catalog, read once."""
    return load_catalog()


# What cannot befall a service that answers at once.
_LATER: Final = frozenset(
    {
        *(trouble for trouble in Trouble if trouble.startswith("asked-")),
        *(Trouble.ENDLESS, Trouble.ODD_STATUS, Trouble.STOPPED, Trouble.FAILED),
    }
)
_PICTURE: Final = f"data:image/png;base64,{base64.b64encode(Samples().image).decode()}"
_FETCHED: Final = frozenset({Trouble.FILE_GONE, Trouble.FILE_CUT_OFF, Trouble.FILE_MISLABELLED})

PAIRS: Final = (
    Pair(
        name="fal",
        adapter=FalProvider,
        emulator=FalEmulator,
        provider=lambda emulator: FalProvider(emulator.key, emulator.url, f"{emulator.url}/.well-known/jwks.json"),
        settings=lambda emulator: {
            "fal_key": emulator.key,
            "fal_base_url": emulator.url,
            "fal_jwks_url": f"{emulator.url}/.well-known/jwks.json",
        },
        model_id="flux",
        given={"prompt": "a lantern", "num_outputs": 2},
    ),
    Pair(
        name="replicate",
        adapter=ReplicateProvider,
        emulator=ReplicateEmulator,
        provider=lambda emulator: ReplicateProvider(emulator.key, f"{emulator.url}/v1"),
        settings=lambda emulator: {
            "replicate_api_token": emulator.key,
            "replicate_base_url": f"{emulator.url}/v1",
        },
        model_id="flux",
        given={"prompt": "a lantern", "num_outputs": 2},
    ),
    Pair(
        name="wavespeed",
        adapter=WaveSpeedProvider,
        emulator=WaveSpeedEmulator,
        provider=lambda emulator: WaveSpeedProvider(emulator.key, emulator.url),
        settings=lambda emulator: {"wavespeed_api_key": emulator.key, "wavespeed_base_url": emulator.url},
        model_id="seedance-2-high",
        given={"prompt": "a lantern"},
        outputs=1,
        lacks=frozenset({Trouble.PARTIAL}),
        can_cancel=False,
    ),
    Pair(
        name="magnific",
        adapter=MagnificProvider,
        emulator=MagnificEmulator,
        provider=lambda emulator: MagnificProvider(emulator.key, f"{emulator.url}/v1", MagnificEmulator.secret),
        settings=lambda emulator: {
            "magnific_api_key": emulator.key,
            "magnific_base_url": f"{emulator.url}/v1",
            "magnific_webhook_secret": MagnificEmulator.secret,
        },
        model_id="runway-gen4-video",
        given={"prompt": "a lantern"},
        outputs=1,
        # A task ends as COMPLETED or FAILED, and in no third way.
        lacks=frozenset({Trouble.PARTIAL, Trouble.STOPPED}),
        can_cancel=False,
        hands_out_keys=False,
    ),
    Pair(
        name="dashscope",
        adapter=DashscopeProvider,
        emulator=DashscopeEmulator,
        provider=lambda emulator: DashscopeProvider(emulator.key, f"{emulator.url}/api/v1"),
        settings=lambda emulator: {
            "dashscope_api_key": emulator.key,
            "dashscope_base_url": f"{emulator.url}/api/v1",
        },
        model_id="wan-2.6-image",
        given={"prompt": "a lantern", "num_outputs": 2},
        picture="image_urls",
        picture_model_id="qwen-image-2.0",
        other_file=OtherFile("wan-video-edit", {"prompt": "a lantern"}, "video_url", "video"),
    ),
    Pair(
        name="runware",
        adapter=RunwareProvider,
        emulator=RunwareEmulator,
        provider=lambda emulator: RunwareProvider(emulator.key, f"{emulator.url}/v1"),
        settings=lambda emulator: {"runware_api_key": emulator.key, "runware_base_url": f"{emulator.url}/v1"},
        model_id="seedream-5-lite",
        given={"prompt": "a lantern", "aspect_ratio": "1:1"},
        outputs=1,
        # Its callbacks carry no time.
        lacks=frozenset({Trouble.PARTIAL, Trouble.CALLED_LATE_CLOCK}),
        # A task that may have been taken is sent again under its own id, which says whether it was.
        otherwise=dict.fromkeys(
            (
                *(Trouble.SILENT, Trouble.CUT_OFF, Trouble.BROKEN, Trouble.ACCEPTED_SILENT),
                *(Trouble.ACCEPTED_CUT_OFF, Trouble.ACCEPTED_HTML, Trouble.ACCEPTED_GATEWAY),
            ),
            DONE,
        ),
        can_cancel=False,
        hands_out_keys=False,
        picture="image_urls",
        asks_by="POST",
        other_file=OtherFile("p-video-avatar", {"image_url": _PICTURE}, "audio_url", "audio"),
    ),
    Pair(
        name="openai",
        adapter=OpenAiProvider,
        emulator=OpenAiEmulator,
        provider=lambda emulator: OpenAiProvider(emulator.key, f"{emulator.url}/v1"),
        settings=lambda emulator: {"openai_api_key": emulator.key, "openai_base_url": f"{emulator.url}/v1"},
        model_id="gpt-image-2",
        given={"prompt": "a lantern", "num_outputs": 2},
        lacks=_LATER | _FETCHED,
        can_cancel=False,
        picture="image_urls",
        names_files=False,
        answers_at_once=True,
    ),
    Pair(
        name="google",
        adapter=GoogleProvider,
        emulator=GoogleEmulator,
        provider=lambda emulator: GoogleProvider(
            emulator.key, f"{emulator.url}/v1beta", f"{emulator.url}/.well-known/jwks.json"
        ),
        settings=lambda emulator: {
            "gemini_api_key": emulator.key,
            "google_base_url": f"{emulator.url}/v1beta",
            "google_jwks_url": f"{emulator.url}/.well-known/jwks.json",
        },
        model_id="veo-3.1-standard",
        given={"prompt": "a lantern"},
        outputs=1,
        lacks=frozenset({Trouble.PARTIAL}),
        can_cancel=False,
        names_files=False,
    ),
    Pair(
        name="xai",
        adapter=XaiProvider,
        emulator=XaiEmulator,
        provider=lambda emulator: XaiProvider(emulator.key, f"{emulator.url}/v1"),
        settings=lambda emulator: {"xai_api_key": emulator.key, "xai_base_url": f"{emulator.url}/v1"},
        model_id="xai-video",
        given={"prompt": "a lantern"},
        outputs=1,
        lacks=frozenset({Trouble.PARTIAL}),
        can_cancel=False,
    ),
)

_XAI: Final = next(pair for pair in PAIRS if pair.name == "xai")
_DASHSCOPE: Final = next(pair for pair in PAIRS if pair.name == "dashscope")
_GOOGLE: Final = next(pair for pair in PAIRS if pair.name == "google")

SECOND_WAYS: Final = (
    replace(
        _XAI,
        way=" images",
        model_id="xai-image",
        given={"prompt": "a lantern", "num_outputs": 2},
        outputs=2,
        # What the first way has not shown.
        lacks=frozenset(Trouble)
        - {Trouble.ACCEPTED_CUT_OFF, Trouble.MODERATED, Trouble.PARTIAL, Trouble.EMPTY, Trouble.FILE_GONE},
        answers_at_once=True,
    ),
    replace(
        _DASHSCOPE,
        way=" at once",
        model_id="qwen-image-2.0",
        given={"prompt": "a lantern", "num_outputs": 2},
        lacks=frozenset(Trouble)
        - {Trouble.ACCEPTED_CUT_OFF, Trouble.BUSY, Trouble.PARTIAL, Trouble.EMPTY, Trouble.FILE_GONE},
        answers_at_once=True,
    ),
    replace(
        _GOOGLE,
        way=" pictures",
        model_id="nano-banana-pro",
        lacks=frozenset(Trouble)
        - {Trouble.ACCEPTED_CUT_OFF, Trouble.BUSY, Trouble.QUOTA, Trouble.FAILED, Trouble.MODERATED}
        - {Trouble.PARTIAL, Trouble.EMPTY, Trouble.FILE_TRUNCATED},
        # The one picture there is was withheld.
        otherwise={Trouble.PARTIAL: Ending("content_rejected", 1)},
        answers_at_once=True,
    ),
)
"""Other ways of services that have two; only what happens to jobs is tried with them."""
