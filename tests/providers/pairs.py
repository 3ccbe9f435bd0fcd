"""Every real service: its adapter, the emulator of it, and what is particular to it. A new provider is a row here.

Owns the rows. What is expected of all of them is in test_troubles.py and its neighbours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.emulators.emulator import Emulator
from tests.emulators.endpoints import endpoints_of
from tests.emulators.fal import FalEmulator
from tests.emulators.magnific import MagnificEmulator
from tests.emulators.replicate import ReplicateEmulator
from tests.emulators.trouble import Trouble
from tests.emulators.wavespeed import WaveSpeedEmulator

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.json_types import JsonObject
from pixeldojo.providers.contract import RealProvider
from pixeldojo.providers.fal import FalProvider
from pixeldojo.providers.magnific import MagnificProvider
from pixeldojo.providers.replicate import ReplicateProvider
from pixeldojo.providers.wavespeed import WaveSpeedProvider


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

    @property
    def done(self) -> Ending:
        """How a job ends that nothing happens to."""
        return Ending(None, 1, self.outputs)

    def open_emulator(self, **options: object) -> Emulator:
        """Return an emulator with the endpoints that the catalog names."""
        return self.emulator(endpoints_of(whole_catalog(), self.name), **options)


@cache
def whole_catalog() -> Catalog:
    """The catalog, read once."""
    return load_catalog()


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
        # fal bills no 5xx of its own, so one may be asked again.
        otherwise={Trouble.BROKEN: DONE},
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
)
