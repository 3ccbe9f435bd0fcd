"""Files and orders as they may lie in a media store: measured in a process of the pool, as a worker measures them."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from PIL import Image
from tests.fuzz.target import Target
from tests.fuzz.text import edited, json_values
from tests.unit.media.clip_kit import counting, make_sound, make_video
from tests.unit.media.picture_kit import source_pixels

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.mesh import render_mesh
from pixeldojo.media.order_reader import parse_order
from pixeldojo.media.orders import MeshOrder
from pixeldojo.media.pool import MediaPool
from pixeldojo.media.probe import probe_media
from pixeldojo.media.sniff import HEAD_BYTES, sniff

_IMAGES: Final = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
_FIELDS: Final = (
    *(
        "kind",
        "model_id",
        "prompt",
        "seed",
        "width",
        "height",
        "operation",
        "count",
        "file_format",
        "quality",
        "sources",
    ),
    *("options", "seconds", "frames_per_second", "with_audio", "sample_rate", "bit_rate", "face_count", "textured"),
)
_WORDS: Final[tuple[JsonValue, ...]] = (
    "image",
    "video",
    "audio",
    "model3d",
    "generate",
    "edit",
    "png",
    "source_image",
    0,
    1,
    True,
    2.5,
)
_SECONDS: Final = 20.0


def _read_order(what: JsonValue) -> None:
    data: JsonObject = what if isinstance(what, dict) else {"kind": what}
    with suppress(ValueError):
        parse_order(data, (Path("a.png"), Path("b.mp4")))


def _sniff(head: bytes) -> None:
    with suppress(UnreadableMedia):
        assert "/" in sniff(head)


def _seeds(folder: Path) -> list[bytes]:
    """Return one small file of each kind that can come in."""
    picture = Image.fromarray(source_pixels(24, 16))
    for kind in _IMAGES:
        picture.save(folder / f"picture.{kind.lower()}", kind)
    make_video(folder / "clip.mp4", counting, frames=6, tone=440)
    make_video(folder / "clip.webm", counting, frames=6, codec="libvpx-vp9")
    make_sound(folder / "tone.wav", 440, 0.2)
    render_mesh(MeshOrder(model_id="m", prompt="a cat", seed=3, face_count=200), folder)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _check(facts: MediaFacts) -> None:
    assert (facts.width or 1) > 0
    assert (facts.height or 1) > 0
    assert (facts.duration_seconds or 0.0) >= 0.0


@contextmanager
def open_targets() -> Iterator[tuple[Target[Any], ...]]:
    """Give the targets, over a process that ends with them."""
    with tempfile.TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        pool = MediaPool(max_workers=1)

        def measure(content: bytes) -> None:
            path = folder / "file"
            path.write_bytes(content)
            with suppress(UnreadableMedia):
                _check(runner.run(pool.run(probe_media, path, timeout_seconds=_SECONDS)))

        seeds = _seeds(folder)
        whole = st.sampled_from(seeds)
        heads = whole.map(lambda content: content[:HEAD_BYTES])
        try:
            yield (
                Target("order", json_values(_FIELDS, _WORDS), _read_order),
                Target("sniff", edited(heads) | st.binary(max_size=80), _sniff),
                Target("media-file", edited(whole) | st.tuples(heads, st.binary()).map(b"".join), measure),
            )
        finally:
            runner.run(pool.close())
