"""The names of figures: explained on the operator's page, and by Prometheus' rules."""

import re
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from pixeldojo.metrics.installation import Installation
from pixeldojo.metrics.meters import Meters

_ROOT: Final = Path(__file__).parents[3]
_NAME: Final = re.compile(r"pixeldojo_[a-z_]+[a-z]")


def test_every_figure_is_explained_and_nothing_else_is() -> None:
    page = (_ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = page.partition("## Metrics")[2].partition("\n## ")[0]
    table, _, alerts = section.partition("```")
    explained = {re.sub("_(total|info)$", "", name) for name in _NAME.findall(table)}
    there = {
        name
        for path in (_ROOT / "src" / "pixeldojo").rglob("*.py")
        for name in re.findall(r'"(pixeldojo_[a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert explained == there
    assert {re.sub("_(total|count)$", "", name) for name in _NAME.findall(alerts)} < explained


def test_names_tell_their_unit_and_kind() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    meters = Meters("1.2.3")
    meters.ledger_proved(0, 0.0)
    whole = Installation(True, {("test", "pending"): 1}, {"test": 1.0})
    families = list(text_string_to_metric_families(meters.text(whole).decode()))
    assert len({family.name for family in families}) == len(families), "a name is used twice"
    for family in families:
        if family.name.startswith("pixeldojo_"):
            assert family.documentation.endswith(".")
            assert (family.type == "histogram") <= family.name.endswith("_seconds"), family.name
            assert not re.search("_(ms|minutes|hours|count|sum|bucket)$", family.name)
