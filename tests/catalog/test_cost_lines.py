"""Every form of cost line that the original list of 132 models prints can be written as data."""

import re
from pathlib import Path

import pytest

from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.price import cost_line

ORIGINAL_LINES = (
    "1 credit(s)",
    "0.5 credit(s)",
    "2 credit(s)",
    "1.5 credit(s) (by resolution: 0.5 MP=1, 1 MP=1.5, 2 MP=3, 4 MP=5)",
    "0.1 credit(s)",
    "1.5 credit(s) (by resolution: 0.5 MP=1, 1 MP=1.5, 2 MP=2, 4 MP=2)",
    "2 credit(s) (by resolution: 0.5 MP=1, 1 MP=2, 2 MP=3, 4 MP=4)",
    "1 credit(s) (by resolution: 0.5 MP=1, 1 MP=1, 2 MP=1, 4 MP=2)",
    "1.5 credit(s)",
    "3 credit(s) (by resolution: 1K=3, 2K=3, 4K=6)",
    "3 credit(s) (by resolution: 1K=2, 2K=3, 4K=4)",
    "3 credit(s)",
    "4 credit(s)",
    "5 credit(s)",
    "0.25 credit(s)",
    "10 credit(s)",
    "12 credit(s)",
    "8 credit(s) (768p: 6s=8/10s=12; 1080p: 6s=12/10s=20)",
    "4 credit(s) (768p: 6s=4/10s=7; 1080p: 6s=7)",
    "4 credits/sec (by resolution: 720p=4, 1080p=6 /sec)",
    "2 credits/sec",
    "3 credits/sec",
    "4 credits/sec",
    "15 credit(s)",
    "6 credits/sec",
    "8 credits/sec",
    "40 credit(s)",
    "2 credits/sec (by resolution: 1080p=2, 1440p=3, 2160p=6 /sec)",
    "2 credits/sec (by resolution: 1080p=2, 1440p=4, 2160p=8 /sec)",
    "45 credit(s)",
    "0.5 credits/sec (by resolution: 720p=0.5, 1080p=1 /sec)",
    "1 credits/sec (by resolution: 720p=1, 1080p=2 /sec)",
    "7.5 credit(s)",
    "8 credit(s)",
    "4 credits/sec (by resolution: 480p=3, 720p=4, 1080p=10 /sec)",
    "20 credit(s)",
    "25 credit(s)",
    "1.5 credits/sec (by resolution: 720p=1.5, 1080p=2 /sec)",
    "1.2 credits/sec",
    "2.5 credits/sec (by resolution: 720p=2.5, 1080p=3 /sec)",
    "1 credits/sec (by resolution: 720p=1, 1080p=1.5 /sec)",
    "6 credit(s)",
)
FORM = re.compile(r"^(?P<unit>[\d.]+) (?P<per>credit\(s\)|credits/sec)(?: \((?P<table>.+)\))?$")


@pytest.mark.parametrize("line", ORIGINAL_LINES)
def test_the_line_can_be_written_as_data(line: str, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.toml").write_text(model_priced(line), encoding="utf-8")
    assert cost_line(load_catalog(tmp_path).find("m")) == line


def test_the_packaged_models_print_these_lines_and_no_others() -> None:
    assert {cost_line(model) for model in load_catalog().models} == set(ORIGINAL_LINES)


def model_priced(line: str) -> str:
    """Return a model file whose price is that of the line."""
    found = FORM.match(line)
    assert found is not None
    unit, table, per_second = found["unit"], found["table"] or "", found["per"] == "credits/sec"
    if table.startswith("by resolution: "):
        return by_tier(unit, pairs(table.removeprefix("by resolution: ").removesuffix(" /sec"), ", "), per_second)
    if table:
        return by_tier_and_seconds({row.split(": ")[0]: pairs(row.split(": ")[1], "/") for row in table.split("; ")})
    if per_second:
        return whole(f'rule = "per_second"\nrate = "{unit}"\nseconds = {{ parameter = "duration" }}', duration([5]))
    return whole(f'rule = "fixed"\namount = "{unit}"')


def pairs(text: str, between: str) -> dict[str, str]:
    """Read `a=1, b=2`."""
    return dict(pair.split("=") for pair in text.split(between))


def by_tier(unit: str, amounts: dict[str, str], per_second: bool) -> str:
    """Return a model priced by resolution, whose default is the tier that costs the unit."""
    inner = ", ".join(f'"{tier}" = "{amount}"' for tier, amount in amounts.items())
    default = next(tier for tier, amount in amounts.items() if amount == unit)
    if per_second:
        price = f'rule = "per_second"\nrates = {{ {inner} }}\nseconds = {{ parameter = "duration" }}'
    else:
        price = f'rule = "by_resolution"\namounts = {{ {inner} }}'
    return whole(price, resolution(list(amounts), default) + duration([5]))


def by_tier_and_seconds(amounts: dict[str, dict[str, str]]) -> str:
    """Return a model priced by resolution and length; what has no price is refused by a rule."""
    rows = [f'"{tier}" = {{ {seconds_priced(row)} }}' for tier, row in amounts.items()]
    lengths = [int(seconds.removesuffix("s")) for seconds in max(amounts.values(), key=len)]
    rules = [
        f'[[rules]]\nrule = "when"\nwhen = {{ one_of = {{ resolution = ["{tier}"] }} }}\n'
        f"allow = {{ duration = {[int(seconds.removesuffix('s')) for seconds in row]} }}\n"
        for tier, row in amounts.items()
        if len(row) < len(lengths)
    ]
    price = 'rule = "by_resolution_and_duration"\n[price.amounts]\n' + "\n".join(rows)
    return whole(price, resolution(list(amounts), next(iter(amounts))) + duration(lengths) + "".join(rules))


def seconds_priced(row: dict[str, str]) -> str:
    """Return `6 = "8", 10 = "12"`."""
    return ", ".join(f'{seconds.removesuffix("s")} = "{amount}"' for seconds, amount in row.items())


def resolution(tiers: list[str], default: str) -> str:
    """Return the parameter."""
    return f'[[parameters]]\nname="resolution"\ntype="string"\nenum={tiers}\ndefault="{default}"\ndescription="x"\n'


def duration(lengths: list[int]) -> str:
    """Return the parameter."""
    return f'[[parameters]]\nname="duration"\ntype="integer"\nenum={lengths}\ndefault={lengths[0]}\ndescription="x"\n'


def whole(price: str, parameters: str = "") -> str:
    """Return a whole model file."""
    return f"""
name = "M"
description = "Made up."
section = "video"
order = 1
task = "text-to-video"
confidence = {{ level = "documented", source = "a test" }}

[price]
{price}

[[parameters]]
name = "prompt"
type = "string"
required = true
description = "Words."
{parameters}

[output]
kind = "video"
formats = ["mp4"]
length = {{ seconds = 5 }}
size = {{ table = {{ "*" = {{ "*" = [1280, 720] }} }} }}

[[upstreams]]
provider = "fal"
endpoint = "e"
source = "a test"
"""
