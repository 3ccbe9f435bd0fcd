"""Our PNG files, read back by Pillow: every pixel and every fact."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixeldojo.media.png import write_png


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 4), (37, 53, 3), (37, 53, 4), (700, 900, 3)])
def test_every_pixel_comes_back(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    write_png(tmp_path / "a.png", pixels, {})
    with Image.open(tmp_path / "a.png") as picture:
        picture.verify()
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == {3: "RGB", 4: "RGBA"}[shape[2]]
        assert np.array_equal(np.asarray(picture), pixels)


def test_facts_come_back_in_any_script(tmp_path: Path) -> None:
    facts = {"Software": "PixelDojo sandbox", "Description": "日本 — é\nsecond line", "Empty": ""}
    write_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8), facts)
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        assert {name: picture.info[name] for name in facts} == facts


def test_the_same_picture_gives_the_same_bytes_whichever_thread_is_first(tmp_path: Path) -> None:
    """And they are one stream as zlib itself reads it, checksum included, which lenient readers pass over."""
    pixels = np.random.default_rng(2).integers(0, 4, (1_200, 500, 3), np.uint8)
    written = set()
    for name in ("a.png", "b.png", "c.png"):
        write_png(tmp_path / name, pixels, {})
        written.add((tmp_path / name).read_bytes())
    content = written.pop()
    assert written == set()
    rows = zlib.decompress(b"".join(chunks(content, b"IDAT")))
    assert len(rows) == 1_200 * (500 * 3 + 1)


def chunks(content: bytes, name: bytes) -> Iterator[bytes]:
    """Yield the bodies of a PNG file's chunks of a name."""
    at = 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == name:
            yield content[at + 8 : at + 8 + length]
        at += length + 12


def test_it_compresses(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    pixels = np.stack([np.broadcast_to(ramp, (256, 256))] * 3, axis=-1)
    write_png(tmp_path / "a.png", pixels, {})
    assert (tmp_path / "a.png").stat().st_size < pixels.size / 50
