"""The compiled catalog: quicker than the files, never other than them, believed only where it can be."""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.catalog.conftest import HEAD, PRICE, PROMPT, UPSTREAM, VIDEO_OUTPUT

from pixeldojo.catalog.compiled import CompiledFile
from pixeldojo.catalog.load import Catalog, load_catalog
from pixeldojo.core.errors import ConfigurationError

FAMILY = '[[parameters]]\nname = "seed"\ntype = "integer"\ndescription = "Repeats."\n'
WHOLE = f'{HEAD}family = "video"\n{PRICE}{PROMPT}[[parameters]]\nuse = "seed"\n{VIDEO_OUTPUT}{UPSTREAM}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalog of one model on a family."""
    for part, name, text in (("models", "test", WHOLE), ("families", "video", FAMILY)):
        (tmp_path / "catalog" / part).mkdir(parents=True)
        (tmp_path / "catalog" / part / f"{name}.toml").write_text(text)
    return tmp_path / "catalog"


@pytest.fixture
def compiled(folder: Path, tmp_path: Path) -> Path:
    """Its compiled file, as the first start leaves it."""
    load_catalog(folder, tmp_path / "compiled")
    return tmp_path / "compiled"


def put(compiled: Path, body: bytes) -> None:
    """Replace the tables and make the file whole again, as somebody could who knows its form."""
    key = compiled.read_bytes().split()[0].decode()
    compiled.write_bytes(f"{key} {hashlib.sha256(body).hexdigest()}\n".encode() + body)


def test_every_model_is_the_same_and_comes_several_times_as_fast(catalog: Catalog, tmp_path: Path) -> None:
    def load() -> tuple[Catalog, float]:
        begun = time.process_time()
        return load_catalog(compiled=tmp_path / "compiled"), time.process_time() - begun

    _, checking = load()
    # The best of three: a process full of other tests' objects may have to collect its garbage meanwhile.
    loaded = [load() for _ in range(3)]
    again, reading = loaded[0][0], min(seconds for _, seconds in loaded)
    assert again == catalog
    assert [model.request_schema for model in again.models] == [model.request_schema for model in catalog.models]
    assert reading * 2 < checking


def test_the_compiled_file_is_what_is_read(folder: Path, compiled: Path) -> None:
    put(compiled, compiled.read_bytes().partition(b"\n")[2].replace(b"Words.", b"Kept."))
    prompt = load_catalog(folder, compiled).find("test").parameter("prompt")
    assert prompt is not None
    assert prompt.description == "Kept."


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("models/test.toml", "for a test", "not a test"),
        ("families/video.toml", "Repeats.", "Reseeds."),
    ],
)
def test_an_edited_file_is_seen_even_at_the_same_size_and_time(
    folder: Path, compiled: Path, file: str, before: str, after: str
) -> None:
    path = folder / file
    stands = path.stat()
    path.write_text(path.read_text().replace(before, after))
    os.utime(path, ns=(stands.st_atime_ns, stands.st_mtime_ns))
    assert path.stat().st_size == stands.st_size
    model = load_catalog(folder, compiled).find("test")
    assert after in repr(model)
    assert load_catalog(folder, compiled).find("test") == model


def test_files_that_come_and_go_are_seen(folder: Path, compiled: Path) -> None:
    (folder / "models" / "other.toml").write_text(WHOLE.replace("order = 1", "order = 2"))
    assert [model.id for model in load_catalog(folder, compiled).models] == ["test", "other"]
    (folder / "models" / "test.toml").unlink()
    assert [model.id for model in load_catalog(folder, compiled).models] == ["other"]


def test_a_mistake_stops_the_start_whatever_was_sound_before(folder: Path, compiled: Path) -> None:
    (folder / "models" / "test.toml").write_text(WHOLE.replace('rule = "fixed"', 'rule = "fixt"'))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"models/test\.toml: price: "):
            load_catalog(folder, compiled)


def test_other_code_checks_again(compiled: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "checks.py").write_text("strict = False")
    CompiledFile(compiled, {"a": b"1"}, [tmp_path / "code"]).write({"a": 1})
    assert CompiledFile(compiled, {"a": b"1"}, [tmp_path / "code"]).read() == b'{"a":1}'
    (tmp_path / "code" / "checks.py").write_text("strict = True")
    assert CompiledFile(compiled, {"a": b"1"}, [tmp_path / "code"]).read() is None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda good: b"", id="empty"),
        pytest.param(lambda good: good[:-10], id="cut off"),
        pytest.param(lambda good: good.partition(b"\n")[0], id="without tables"),
        pytest.param(lambda good: good.replace(b"Words.", b"Wards."), id="one byte wrong"),
        pytest.param(lambda good: b"0" * 64 + good[64:], id="of other sources"),
        pytest.param(lambda good: b"\x80\x04\x95" + os.urandom(999), id="something else"),
    ],
)
def test_a_spoilt_file_is_ignored_and_made_again(folder: Path, compiled: Path, spoil: Callable[[bytes], bytes]) -> None:
    good = compiled.read_bytes()
    compiled.write_bytes(spoil(good))
    assert load_catalog(folder, compiled) == load_catalog(folder)
    assert compiled.read_bytes() == good


@pytest.mark.parametrize("body", [b"[]", b"{}x", b'{"test": {"price": 1}}'])
def test_tables_that_are_none_are_ignored_and_made_again(folder: Path, compiled: Path, body: bytes) -> None:
    good = compiled.read_bytes()
    put(compiled, body)
    assert load_catalog(folder, compiled) == load_catalog(folder)
    assert compiled.read_bytes() == good


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_can_write_is_not_believed(folder: Path, compiled: Path, mode: int) -> None:
    put(compiled, compiled.read_bytes().partition(b"\n")[2].replace(b"Words.", b"Theirs."))
    compiled.chmod(mode)
    assert load_catalog(folder, compiled) == load_catalog(folder)
    assert compiled.stat().st_mode & 0o777 == 0o600
    assert b"Theirs." not in compiled.read_bytes()


def test_where_nothing_can_be_kept_the_catalog_is_read_all_the_same(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a folder").mkdir()
    for path in (tmp_path / "missing" / "compiled", tmp_path / "a folder"):
        assert load_catalog(folder, path) == load_catalog(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a folder", "catalog"]


def test_many_may_start_at_once(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "compiled"
    with ThreadPoolExecutor(8) as starts:
        loaded = list(starts.map(lambda _: load_catalog(folder, path), range(40)))
    assert all(catalog == loaded[0] for catalog in loaded)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["catalog", "compiled"]
