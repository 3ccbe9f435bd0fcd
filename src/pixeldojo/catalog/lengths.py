"""How long the clips and sounds of an input may be, by the model's own limits.

Owns deciding them for an input, and saying in words which file is outside. Leaves measuring files to the worker, what
one upstream takes beyond that to `bind`, and prices to `price`.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from pixeldojo.catalog.conditions import describe, holds
from pixeldojo.catalog.schema import LengthLimit, Model
from pixeldojo.core.json_types import JsonObject
from pixeldojo.core.output_facts import Source

# Containers run some frames past what players call their length, and encoders cut one off; upstreams count likewise.
_OVER_SECONDS: Final = 0.5
_UNDER_SECONDS: Final = 0.1


def length_breach(model: Model, given: JsonObject, files: Sequence[Source]) -> str | None:
    """Return which file is shorter or longer than the model takes, and what would be right; None where none is."""
    for limit in _applying(model, given):
        for place, file in enumerate(file for file in files if file.parameter == limit.of):
            seconds = file.duration_seconds
            if seconds is None or _least(limit) - _UNDER_SECONDS <= seconds <= _most(limit, seconds) + _OVER_SECONDS:
                continue
            where = f"{limit.of}[{place}]" if limit.of in model.lists else limit.of
            when = f" when {describe(limit.when, model.lists)}" if limit.when else ""
            return f"{where}: it is {seconds:.1f} seconds long, and must be {seconds_range(limit)}{when}."
    return None


def longest_seconds(model: Model, given: JsonObject) -> Decimal | None:
    """Return the most seconds that an output can follow its source for; None where no limit says."""
    follow = model.output.length.follow if model.output.length else ()
    source = next((name for name in follow if name in given), None)
    most = [limit.maximum for limit in _applying(model, given) if limit.of == source and limit.maximum is not None]
    return Decimal(str(min(most))) if most else None


def seconds_range(limit: LengthLimit) -> str:
    """Return what is allowed in words: `3 to 30 seconds`."""
    if limit.maximum is None:
        return f"at least {limit.minimum:g} seconds"
    if limit.minimum is None:
        return f"at most {limit.maximum:g} seconds"
    return f"{limit.minimum:g} to {limit.maximum:g} seconds"


def _applying(model: Model, given: JsonObject) -> Sequence[LengthLimit]:
    return [limit for limit in model.lengths if holds(limit.when, given)]


def _least(limit: LengthLimit) -> float:
    return limit.minimum or 0


def _most(limit: LengthLimit, seconds: float) -> float:
    return seconds if limit.maximum is None else limit.maximum
