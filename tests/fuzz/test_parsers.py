"""A minute of hostile input for all parsers; `make fuzz` tries as long as is asked, and other values each time."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_minute_of_any_input_breaks_no_parser() -> None:
    # What they import would be loaded for every run of the quick tests.
    from tests.fuzz.run import fuzz, open_targets

    with open_targets() as targets:
        outcome = fuzz(targets, seconds=60, number=20_261_123)
    assert not outcome.findings, "\n\n".join(f"{one.target} {one.value}\n{one.story}" for one in outcome.findings)
    assert set(outcome.tried) == {target.name for target in targets}
