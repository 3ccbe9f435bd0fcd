"""How long the sandbox's clips and music take to render, source to file, in one process.

Run `python benchmarks/bench_video.py [--rounds N] [--only WORD]`. Prints medians of wall and of processor seconds; on
a machine that does other things too, the processor time is the figure to compare.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from pixeldojo.media.audio import render_music
from pixeldojo.media.orders import AudioOrder, Role, VideoOperation, VideoOrder
from pixeldojo.media.scene import compose
from pixeldojo.media.video import render_video

Work = Callable[[], object]

_HD = VideoOrder("bench", "A lighthouse above a stormy sea at dusk", 7, 1280, 720, seconds=5.0, frames_per_second=24.0)
_MUSIC = AudioOrder("bench", "lofi beats, calm rain", 3, seconds=60.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only the rows whose name has this word")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = {**clips(Path(folder)), **tracks(Path(folder))}
        for name, work in rows.items():
            if asked.only in name:
                print(f"{name:<44} {measure(work, asked.rounds)}")


def clips(folder: Path) -> dict[str, Work]:
    """Every operation at 720p, and drawing at the sizes models offer."""
    picture = folder / "picture.png"
    Image.fromarray(compose("portrait of a woman in a forest", 3).paint(1280, 720)).save(picture)
    source = render_video(replace(_HD, with_audio=True), folder)[0]
    pictures = {Role.START_IMAGE: (picture,), Role.END_IMAGE: (picture,), Role.REFERENCE_IMAGES: (picture, picture)}
    sources = {**pictures, Role.SOURCE_VIDEO: (source,), Role.AUDIO: (source,)}
    rows: dict[str, Work] = {}
    for name, width, height in (("480p", 854, 480), ("720p", 1280, 720), ("1080p", 1920, 1080), ("4k", 3840, 2160)):
        rows[f"clip drawn 5 s {name}"] = _clip(replace(_HD, width=width, height=height), folder)
    rows["clip drawn 5 s 720p, composed sound"] = _clip(replace(_HD, with_audio=True), folder)
    for operation in VideoOperation:
        if operation is not VideoOperation.GENERATE:
            made = replace(_HD, operation=operation, sources=sources, with_audio=True)
            rows[f"clip {operation} 5 s 720p, sound"] = _clip(made, folder)
    large = replace(_HD, operation=VideoOperation.UPSCALE, sources=sources, with_audio=True, frames_per_second=60.0)
    rows["clip upscale 5 s to 1080p 60/s, sound"] = _clip(replace(large, width=1920, height=1080), folder)
    return rows


def tracks(folder: Path) -> dict[str, Work]:
    """Music of two lengths in both formats."""
    return {
        f"track {seconds} s {file_format}": _track(
            replace(_MUSIC, seconds=float(seconds), file_format=file_format), folder
        )
        for seconds in (60, 300)
        for file_format in ("wav", "mp3")
    }


def measure(work: Work, rounds: int) -> str:
    """Run it once to warm up and then `rounds` times."""
    work()
    wall, processor = [], []
    for _ in range(rounds):
        started, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return f"wall {statistics.median(wall):6.2f} s   processor {statistics.median(processor):6.2f} s"


def _clip(order: VideoOrder, folder: Path) -> Work:
    return lambda: _clear(render_video(order, folder))


def _track(order: AudioOrder, folder: Path) -> Work:
    return lambda: _clear(render_music(order, folder))


def _clear(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


if __name__ == "__main__":
    main()
