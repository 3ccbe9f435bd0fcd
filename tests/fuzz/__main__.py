"""`make fuzz`: hostile input for every parser that sees what strangers send, for as long as is asked.

Prints the seed first, and keeps what it finds; a kept finding is tried again with `python -m tests.fuzz --replay FILE`.
"""

import argparse
import logging
import secrets
import sys
from pathlib import Path

from tests.fuzz.run import fuzz, open_targets
from tests.fuzz.target import replay

_FINDINGS = Path(".hypothesis") / "fuzz"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run it as the command line says; 0 when nothing is found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="how long, for all targets together")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of an earlier run")
    parser.add_argument("--only", action="append", default=[], metavar="TARGET", help="this target; may be repeated")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try one finding again, and nothing else")
    chosen = parser.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # as a server has it
    with open_targets() as targets:
        if chosen.replay is not None:
            replay(targets, chosen.replay)
            _say("What was found is read or refused as promised now.")
            return 0
        known = {target.name for target in targets}
        if unknown := set(chosen.only) - known:
            parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        _say(f"seed {chosen.seed}; findings are kept in {_FINDINGS}")
        wanted = tuple(target for target in targets if not chosen.only or target.name in chosen.only)
        outcome = fuzz(wanted, seconds=chosen.seconds, number=chosen.seed)
    for finding in outcome.findings:
        _say(f"\n{finding.target} breaks on {finding.value[:500]}\nkept in {finding.save(_FINDINGS)}\n{finding.story}")
    tried = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.tried.items()))
    _say(f"\n{len(outcome.findings)} found in {sum(outcome.tried.values()):,} values: {tried}.")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
