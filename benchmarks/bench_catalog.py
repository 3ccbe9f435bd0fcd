"""How long loading the catalog, and reading and pricing a request, take. Run: python -m benchmarks.bench_catalog."""

import statistics
import time

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.price import quote_price

_ROUNDS = 1_000


def main() -> None:
    """Print the figures."""
    loads = []
    for _ in range(5):
        start = time.perf_counter()
        catalog = load_catalog()
        loads.append(time.perf_counter() - start)
    print(f"load {len(catalog.models)} models: median {statistics.median(loads) * 1e3:.0f} ms")
    for model in sorted(catalog.models, key=lambda model: -len(str(model.request_schema)))[:5]:
        raw = {**model.example}
        samples = []
        for _ in range(_ROUNDS):
            start = time.perf_counter()
            quote_price(model, read_input(model, raw))
            samples.append(time.perf_counter() - start)
        print(f"read and price {model.id}: median {statistics.median(samples) * 1e6:.0f} us of {_ROUNDS}")


if __name__ == "__main__":
    main()
