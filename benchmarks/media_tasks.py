"""What `bench_media` runs inside a media process, where functions are found by their module's name."""

import time
from pathlib import Path

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.render import render
from pixeldojo.media.scene import compose


def timed_render(order: JsonObject, folder: str) -> tuple[float, float, int, str]:
    """Run in a media process: draw and report wall milliseconds, processor milliseconds, bytes and the path."""
    wall, processor = time.perf_counter(), time.process_time()
    path = render(order, [], folder)[0]
    took = (time.perf_counter() - wall) * 1e3, (time.process_time() - processor) * 1e3
    return *took, Path(path).stat().st_size, path


def timed_frames(prompt: str, width: int, height: int, count: int) -> tuple[float, float]:
    """Run in a media process: milliseconds to the first frame, and milliseconds of each further one."""
    start = time.process_time()
    scene = compose(prompt, 1)
    scene.paint(width, height)
    first = time.process_time()
    for number in range(count):
        scene.paint(width, height, number / count)
    return (first - start) * 1e3, (time.process_time() - first) * 1e3 / count
