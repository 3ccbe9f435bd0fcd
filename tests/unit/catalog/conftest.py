"""Catalogs made in a temporary folder, so that each test says in TOML what it is about."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.catalog.schema import Model

WriteCatalog = Callable[..., Catalog]
MakeModel = Callable[..., Model]

HEAD = """
name = "Test"
description = "A model for a test."
section = "video"
order = 1
task = "text-to-video"
confidence = { level = "documented", source = "a test" }
"""

VIDEO_OUTPUT = """
[output]
kind = "video"
formats = ["mp4"]
length = { seconds = 5 }

[output.size.table."*"]
"*" = [1280, 720]
"""

UPSTREAM = """
[[upstreams]]
provider = "replicate"
endpoint = "o/m"
source = "a test"
"""

PROMPT = """
[[parameters]]
name = "prompt"
type = "string"
required = true
description = "Words."
"""

PRICE = """
[price]
rule = "fixed"
amount = "1"
"""


@pytest.fixture
def write_catalog(tmp_path: Path) -> WriteCatalog:
    """Write model and family files and load them as a catalog."""

    def write(models: Mapping[str, str], families: Mapping[str, str] | None = None) -> Catalog:
        for folder, files in (("models", models), ("families", families or {})):
            (tmp_path / folder).mkdir(exist_ok=True)
            for name, text in files.items():
                (tmp_path / folder / f"{name}.toml").write_text(text, encoding="utf-8")
        return load_catalog(tmp_path)

    return write


@pytest.fixture
def make_model(write_catalog: WriteCatalog) -> MakeModel:
    """Load one model; the parts not given are the smallest that work."""

    def make(
        *parts: str,
        head: str = HEAD,
        price: str = PRICE,
        prompt: str = PROMPT,
        output: str = VIDEO_OUTPUT,
        upstreams: str = UPSTREAM,
        top: str = "",
    ) -> Model:
        text = "\n".join((head, top, price, prompt, *parts, output, upstreams))
        return write_catalog({"test": text}).find("test")

    return make


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The packaged catalog."""
    return load_catalog()


@pytest.fixture(scope="session")
def wide() -> Model:
    """The made-up model that uses every part of the format."""
    return load_catalog(Path(__file__).parents[2] / "catalog" / "made_up", providers=("first", "second")).find("wide")
