"""How long loading the catalog, and reading and pricing a request, take.

Run `python -m benchmarks.bench_catalog [--rounds N]`. Prints processor time, which a machine that does other things
too changes least. Loading: every file read and checked, and read from the compiled file that a start keeps. Requests:
for the ten models that take longest of all, with only what they require, and with every input that can stand together.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pixeldojo.catalog.checks import example_value
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject

_LOADS = 7
_SHORT_ROUNDS = 50
_SHOWN = 10


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2_000)
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled"
        catalog = load_catalog(compiled=compiled)
        print(f"{len(catalog.models)} models, every file checked: {show_load(load_catalog)}")
        print(f"{len(catalog.models)} models, compiled before:    {show_load(lambda: load_catalog(compiled=compiled))}")
    requests = [(model, raw) for model in catalog.models for raw in (model.example, fullest(model))]
    requests.sort(key=lambda request: -statistics.median(timed(request[0], request[1], _SHORT_ROUNDS)))
    worst = list(dict.fromkeys(model.id for model, _ in requests))[:_SHOWN]
    print(f"read and price a request, us of {rounds}, the slowest {_SHOWN} of {len(catalog.models)} models:")
    for model in map(catalog.find, worst):
        full = fullest(model)
        small = f"{len(model.example):2} inputs {show(timed(model, model.example, rounds))}"
        print(
            f"  {model.id:26} {small}   {len(full):2} of {len(model.parameters):2} {show(timed(model, full, rounds))}"
        )


def fullest(model: Model) -> JsonObject:
    """Return an input with every parameter that the ones before it allow."""
    raw = dict(model.example)
    for parameter in model.parameters:
        try:
            read_input(model, {**raw, parameter.name: example_value(parameter)})
        except ValidationError:
            continue
        raw.setdefault(parameter.name, example_value(parameter))
    return raw


def timed(model: Model, raw: JsonObject, rounds: int) -> list[float]:
    """Return the microseconds of the processor that each round took."""
    taken = []
    for _ in range(rounds):
        start = time.thread_time()
        quote_price(model, read_input(model, raw))
        taken.append((time.thread_time() - start) * 1e6)
    return taken


def show(taken: list[float]) -> str:
    ordered = sorted(taken)
    return f"median {statistics.median(ordered):6.1f}  p99 {ordered[int(len(ordered) * 0.99)]:6.1f}"


def show_load(load: Callable[[], object]) -> str:
    taken = []
    for _ in range(_LOADS):
        start = time.process_time()
        load()
        taken.append((time.process_time() - start) * 1e3)
    return f"median {statistics.median(taken):4.0f} ms   best {min(taken):4.0f} ms   of {_LOADS}"


if __name__ == "__main__":
    main()
