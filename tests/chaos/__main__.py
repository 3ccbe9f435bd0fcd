"""`make chaos`: many jobs on a real set-up whose parts are killed, suspended and restarted at random, then the proof.

Prints the seed first: with it, and the same size, the same things are done at the same moments.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.run import Outcome, Size, run_chaos


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _report(outcome: Outcome, seed: int, seconds: float) -> None:
    _say("")
    for claim in outcome.claims:
        _say(str(claim))
    verdict = "Everything holds." if outcome.is_sound else "Something does not hold; the nodes' logs are kept."
    _say(
        f"\n{verdict} Seed {seed}: {len(outcome.blows)} blows, {outcome.repeated:,} requests asked again, "
        f"{outcome.drain_seconds:.1f} s until the rest was done, {seconds:.0f} s in all."
    )


def main() -> int:
    """Run it as the command line says; 0 when everything holds."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="of an earlier run, to have it again"
    )
    parser.add_argument("--size", type=int, default=2_000, help="how many jobs")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long things go wrong")
    parser.add_argument("--workers", type=int, default=4)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pixeldojo-chaos-"))
    _say(f"seed {chosen.seed}; logs and files in {folder}")
    begun = time.monotonic()
    size = Size(jobs=chosen.size, seconds=chosen.seconds, workers=chosen.workers)
    outcome = run_chaos(folder, chosen.seed, size, _say)
    _report(outcome, chosen.seed, time.monotonic() - begun)
    return 0 if outcome.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
