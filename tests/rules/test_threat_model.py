"""The threat model says which test would fail: each risk has a row, and each row tests that are there.

The bug this prevents: a page that promises what nothing proves any longer.
"""

import re
from pathlib import Path

import pytest

_ROW = re.compile(r"^\| (API\d+) [^|]*\|(?P<how>[^|]*)\|(?P<stops>[^|]*)\|(?P<proven>[^|]*)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)`")


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, re.Match[str]]:
    """The table's rows by their risk."""
    page = (repository / "docs" / "threat-model.md").read_text(encoding="utf-8")
    return {match[1]: match for match in _ROW.finditer(page)}


def test_each_of_the_ten_risks_has_its_row(rows: dict[str, re.Match[str]]) -> None:
    assert sorted(rows) == sorted(f"API{number}" for number in range(1, 11))


def test_each_row_says_how_what_and_by_which_tests_it_is_proven(
    repository: Path, rows: dict[str, re.Match[str]]
) -> None:
    for risk, row in rows.items():
        assert len(row["how"].strip()) > 10, risk
        assert len(row["stops"].strip()) > 10, risk
        named = _TEST.findall(row["proven"])
        assert any(name.rpartition("/")[2].startswith("test_") for name in named), risk
        for name in named:
            text = (repository / name).read_text(encoding="utf-8")
            assert "assert " in text, f"{risk}: {name} proves nothing"
