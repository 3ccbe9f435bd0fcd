"""The page on the catalog cannot lie: its example is a model, and it names every key there is."""

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.family import FamilyFile
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.load import ModelFile, load_catalog
from pixeldojo.catalog.price import cost_line, quote_price
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.texts import model_detail

PAGE = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")


@pytest.fixture
def lantern(tmp_path: Path) -> Model:
    """The example, added to a copy of the packaged catalog as the page says."""
    packaged = Path(str(resources.files("pixeldojo.catalog")))
    for folder in ("models", "families"):
        shutil.copytree(packaged / folder, tmp_path / folder)
    found = re.search(r"```toml\n(.+?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "models" / "paper-lantern.toml").write_text(found[1], encoding="utf-8")
    return load_catalog(tmp_path).find("paper-lantern")


def test_the_example_is_listed_validated_priced_and_bound(lantern: Model) -> None:
    assert model_detail(lantern)["capabilities"] == ["text-to-image", "image-edit"]
    assert cost_line(lantern) == "1 credit(s) (by resolution: 1 MP=1, 2 MP=1.75)"
    read = read_input(lantern, {"prompt": "x", "image_url": "https://example.com/a.png", "resolution": "2 MP"})
    assert quote_price(lantern, read).amount_millicredits == 1_750
    (upstream,) = choose_upstreams(lantern, read)
    assert bind(upstream, lantern, read, {}) == {
        "image_urls": ["https://example.com/a.png"],
        "glow_percent": 50,
        "output_format": "jpeg",
        "prompt": "x",
        "image_size": {"width": 1440, "height": 1440},
        "enable_safety_checker": True,
    }


def test_the_page_names_every_key_of_the_format() -> None:
    tables = [kind.model_json_schema() for kind in (ModelFile, FamilyFile)]
    keys = {
        key
        for table in tables
        for part in (table, *table["$defs"].values())
        for key in part.get("properties", {})
    }  # fmt: skip
    words = set(re.findall(r"[a-z_]+", PAGE))
    assert keys - words == set()
