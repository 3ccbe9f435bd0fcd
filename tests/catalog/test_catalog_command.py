"""`make catalog`: the table when every file is sound; every mistake, its file, place and remedy when they are not."""

import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
import typer
from tests.catalog.strategies import MODELS
from typer.testing import CliRunner

from pixeldojo.catalog.load import load_catalog
from pixeldojo.cli.catalog import check_catalog
from pixeldojo.core.errors import ConfigurationError

PACKAGED = Path(str(resources.files("pixeldojo.catalog")))
SOME = ("flux-2-pro", "hailuo-standard", "outpaint", "qwen-image-edit-spicy", "veo-3.1-lite", "wan-2.7-i2v")

Break = Callable[[str], str]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with some of the packaged models and every family."""
    shutil.copytree(PACKAGED / "families", tmp_path / "families")
    (tmp_path / "models").mkdir()
    for model_id in SOME:
        shutil.copy(PACKAGED / "models" / f"{model_id}.toml", tmp_path / "models")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(check_catalog)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, str(result.exception) if result.exception else result.output


def test_the_table_shows_every_model_s_task_price_rule_upstreams_and_confidence() -> None:
    code, output = run()
    assert code == 0
    rows = [re.split(r" {2,}", line.rstrip()) for line in output.splitlines()]
    assert rows[0] == ["model", "task", "price rule", "credits", "upstreams", "confidence"]
    table = {row[0]: row for row in rows[1:] if len(row) > 1}
    assert list(table) == [model.id for model in MODELS if model.id != "wide"]
    assert table["outpaint"] == ["outpaint", "image-edit", "per_output", "1 credit(s)", "fal", "documented"]
    assert table["z-image-spicy"][4] == "sandbox only"
    assert output.splitlines()[-1].startswith("132 models, all of them sound: ")


def test_the_doubtful_are_listed_first_what_is_inferred_with_the_source() -> None:
    code, output = run("--doubtful")
    assert code == 0
    rows = [re.split(r" {2,}", line.rstrip()) for line in output.splitlines()]
    assert rows[0] == ["model", "confidence", "source"]
    listed = [(row[0], row[1]) for row in rows[1:] if len(row) == 3 and row[0]]
    packaged = [(model.id, model.confidence.level) for model in MODELS if model.id != "wide"]
    doubtful = [one for level in ("inferred", "partly") for one in packaged if one[1] == level]
    assert listed == doubtful
    assert "that the original runs 2.3 follows from its tiers" in " ".join(output.split())


@pytest.mark.parametrize(
    ("model_id", "wrong", "place", "remedy"),
    [
        ("outpaint", ("[output]", "[output"), "", "is not TOML"),
        ("outpaint", ("amount =", "amuont ="), "price.amuont", 'did you mean "amount"'),
        ("outpaint", ('use = "image_url"', 'use = "image_urll"'), "parameters[0].use", 'did you mean "image_url"'),
        (
            "outpaint",
            ('"zoom_out_percentage"]', '"zoom_out_percent"]'),
            "rules[0]",
            'did you mean "zoom_out_percentage"',
        ),
        ("outpaint", ("enable_safety_checker = true", "enable_safety_checker = false"), "constants", "must be true"),
        ("hailuo-standard", ("order = ", "order = 0 # "), "order", "must be 1 or more"),
        ("hailuo-standard", ('task = "text-to-video"', 'task = "text-to-film"'), "task", "must be"),
        ("flux-2-pro", ('"4 MP" = "2"', '"4 MP" = "0.5"'), "price.amounts", ""),
        ("veo-3.1-lite", ('needs = ["image_url"]', 'needs = ["image_uri"]'), "rules[0]", 'did you mean "image_url"'),
        ("qwen-image-edit-spicy", ("sandbox_only = ", "# "), "upstreams", "say in sandbox_only why there is none"),
        ("wan-2.7-i2v", ("[confidence]", 'sandbox_only = "No."\n[confidence]'), "sandbox_only", "drop it"),
    ],
)
def test_a_broken_rule_fails_with_file_place_and_remedy(
    copy: Path, model_id: str, wrong: tuple[str, str], place: str, remedy: str
) -> None:
    file = copy / "models" / f"{model_id}.toml"
    text = file.read_text(encoding="utf-8")
    if wrong[0] not in text:
        pytest.fail(f"{model_id} no longer has {wrong[0]}")
    file.write_text(text.replace(*wrong, 1), encoding="utf-8")
    code, output = run("--folder", str(copy))
    assert code == 1
    told = output.splitlines()
    assert all(line.startswith(f"models/{model_id}.toml: ") for line in told)
    assert any(place in line and remedy in line for line in told), told


def test_a_family_that_is_broken_is_named_itself(copy: Path) -> None:
    (copy / "families" / "image.toml").write_text("parameters = 3", encoding="utf-8")
    (copy / "families" / "video.toml").write_text("sizes = 3", encoding="utf-8")
    code, output = run("--folder", str(copy))
    assert code == 1
    assert [line.split(":")[:2] for line in output.splitlines()] == [
        ["families/image.toml", " parameters"],
        ["families/video.toml", " sizes"],
    ]


def test_every_mistake_of_every_file_is_told_at_once(copy: Path) -> None:
    outpaint = copy / "models" / "outpaint.toml"
    text = outpaint.read_text(encoding="utf-8")
    outpaint.write_text(text.replace("section =", "sektion =", 1).replace("order =", "ordre =", 1), encoding="utf-8")
    (copy / "models" / "flux-2-pro.toml").write_text("name = 3", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(copy)
    told = {tuple(line.split(": ")[:2]) for line in str(caught.value).splitlines()}
    assert told >= {
        ("models/outpaint.toml", "sektion"),
        ("models/outpaint.toml", "ordre"),
        ("models/outpaint.toml", "section"),
        ("models/flux-2-pro.toml", "name"),
        ("models/flux-2-pro.toml", "price"),
    }
