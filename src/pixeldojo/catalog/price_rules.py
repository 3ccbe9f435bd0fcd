"""How a model's price is written in its file.

Owns the five kinds of price. Leaves computing with them to `price`, and checking them against the model's parameters
to `checks`. Credits are written as strings, so that no float is ever read: `amount = "0.25"`.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.money import parse_credits


def _millicredits(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError('write credits as a string such as "0.25"')  # noqa: TRY004  pydantic collects ValueError
    amount = parse_credits(value)
    if amount <= 0:
        raise ValueError("a price must be above zero")
    return amount


Millicredits: TypeAlias = Annotated[int, BeforeValidator(_millicredits)]


class FixedPrice(FileTable):
    """One amount for a request, whatever it asks for."""

    rule: Literal["fixed"]
    amount: Millicredits


class PerOutputPrice(FileTable):
    """One amount for each output."""

    rule: Literal["per_output"]
    amount: Millicredits


class BilledSeconds(FileTable):
    """Which seconds a per-second price counts.

    Attributes:
        parameter: The input that says how long; None where the length is never an input.
        is_measured: The length is only known from the output.
        measured_with: Parameters that, when given, make it so (a sound track that the video follows).
        maximum: Quoted for a measured length, seconds.
        estimate_parameter: An optional input with which the caller lowers that quote.
    """

    parameter: str | None = None
    is_measured: bool = False
    measured_with: tuple[str, ...] = ()
    maximum: int | None = Field(default=None, ge=1)
    estimate_parameter: str | None = None


class PerSecondPrice(FileTable):
    """A rate for each second; one rate, or one for each value of `by`."""

    rule: Literal["per_second"]
    rate: Millicredits | None = None
    by: str = "resolution"
    rates: Mapping[str, Millicredits] = Field(default_factory=dict)
    seconds: BilledSeconds


class ByResolutionPrice(FileTable):
    """An amount for each value of `by`, times the outputs.

    Attributes:
        amounts: In the order of the cost line; they never fall.
        unlisted: Values that cost something but do not stand in the cost line.
        pixels: The largest area of each tier. With it, an input with both sides costs the smallest tier that
            holds its area.
        sides: The parameters of those sides.
    """

    rule: Literal["by_resolution"]
    by: str = "resolution"
    amounts: Mapping[str, Millicredits] = Field(min_length=1)
    unlisted: Mapping[str, Millicredits] = Field(default_factory=dict)
    pixels: Mapping[str, int] = Field(default_factory=dict)
    sides: tuple[str, str] = ("width", "height")


class ByResolutionAndDurationPrice(FileTable):
    """An amount for each resolution and length: `amounts.1080p.6 = "12"`."""

    rule: Literal["by_resolution_and_duration"]
    by: str = "resolution"
    seconds: str = "duration"
    amounts: Mapping[str, Mapping[str, Millicredits]] = Field(min_length=1)


PriceRule: TypeAlias = Annotated[
    FixedPrice | PerOutputPrice | PerSecondPrice | ByResolutionPrice | ByResolutionAndDurationPrice,
    Field(discriminator="rule"),
]
