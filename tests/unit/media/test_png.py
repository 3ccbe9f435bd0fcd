"""Our PNG files, read back by Pillow: every pixel and every fact."""

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


def test_it_compresses(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 256).astype(np.uint8)
    pixels = np.stack([np.broadcast_to(ramp, (256, 256))] * 3, axis=-1)
    write_png(tmp_path / "a.png", pixels, {})
    assert (tmp_path / "a.png").stat().st_size < pixels.size / 50
