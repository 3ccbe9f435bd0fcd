"""CONTRIBUTING's recipe for a model, followed word for word in a copy of the source: one file, and it runs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.e2e.harness import Server, call

REPOSITORY: Final = Path(__file__).parents[2]
PAGE: Final = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPE: Final = PAGE[PAGE.index("### Add a model") : PAGE.index("### Add a provider")]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source in which step 1 was done."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(REPOSITORY / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    path = re.search(r"Save this as `([^`]+)`", RECIPE)
    model = re.search(r"```toml\n(.+?)```", RECIPE, re.DOTALL)
    assert path is not None
    assert model is not None
    (folder / path[1]).write_text(model[1], encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(checkout: Path) -> Iterator[Server]:
    started = Server(checkout / "data", {"PYTHONPATH": str(checkout / "src")}).start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def ended(server: Server) -> Any:
    """A job of the model with nothing but a prompt and a number, once it has ended."""
    accepted = server.run("paper-lantern", {"prompt": "Lanterns over a river", "num_outputs": 2})
    assert accepted.status == 202, accepted.body
    return server.ended(accepted.json["jobId"])


def test_the_catalog_command_finds_it_sound(checkout: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    command = (sys.executable, "-m", "pixeldojo", "catalog")
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("paper-lantern ")]
    assert re.split(r" {2,}", row.rstrip())[1:] == ["text-to-image", "per_output", "0.5 credit(s)", "fal", "documented"]
    assert "133 models, all of them sound" in done.stdout


def test_a_file_that_is_broken_stops_the_start_with_its_name_place_and_reason(checkout: Path, tmp_path: Path) -> None:
    sound = checkout / "src" / "pixeldojo" / "catalog" / "models" / "paper-lantern.toml"
    broken = sound.with_name("broken-lantern.toml")
    broken.write_text(sound.read_text(encoding="utf-8").replace("\namount", "\namuont"), encoding="utf-8")
    refused = Server(tmp_path / "data", {"PYTHONPATH": str(checkout / "src")})
    try:
        refused.launch()
        assert refused.process is not None
        assert refused.process.wait(timeout=60) == 1
    finally:
        broken.unlink()
        refused.kill()
    assert 'models/broken-lantern.toml: price.amuont: is not a key of this table; did you mean "amount"?' in refused.log
    assert "Traceback" not in refused.log


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/models", '"apiId":"paper-lantern"'),
        ("/api/v1/models?q=lantern", '"total":1'),
        ("/api/v1/models?use_case=artistic&detailed=true", '"glow"'),
        ("/api/v1/models/paper-lantern", '"outputKind":"image"'),
        ("/api/v1/models/paper-lantern/schema", '"How much the lanterns shine."'),
        ("/api/openapi", "paper-lantern"),
        ("/llm.txt", "### Paper Lantern (`paper-lantern`)"),
        ("/llms.txt", "/llm/paper-lantern.txt"),
        ("/llm/paper-lantern.txt", "glow"),
        ("/api-platform/paper-lantern", "Paper Lantern"),
    ],
)
def test_it_stands_in_every_list_and_text(server: Server, path: str, words: str) -> None:
    answer = call("GET", f"{server.url}{path}")
    assert answer.status == 200
    assert words in answer.body.decode()


def test_a_job_completes_with_what_the_file_promises(server: Server, ended: Any) -> None:
    assert ended["status"] == "completed", ended
    assert ended["creditCost"] == 1
    assert ended["input"] == {
        "prompt": "Lanterns over a river",
        "aspect_ratio": "1:1",
        "glow": 0.5,
        "num_outputs": 2,
    }
    drawn = [(asset["contentType"], asset["width"], asset["height"]) for asset in ended["assets"]]
    assert drawn == [("image/png", 1024, 1024)] * 2
    assert all(call("HEAD", url).status == 200 for url in ended["output"]["images"])


def test_its_limits_and_its_price_are_told(server: Server) -> None:
    refused = server.run("paper-lantern", {"prompt": "x", "glow": 2})
    assert (refused.status, refused.json["error"]["details"][0]["path"]) == (400, "glow")
    url = f"{server.url}/api/v1/models/paper-lantern/estimate"
    assert call("POST", url, key=server.key, body={"prompt": "x", "num_outputs": 4}).json["creditCost"] == 2
