"""How long the sandbox takes: pictures, frames, measuring, each in a warm media process.

Run `python -m benchmarks.bench_media`. Prints the median and the 90th percentile of wall and of processor time in
milliseconds; on a machine that does other things too, the processor time is the figure to compare.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.media_tasks import timed_frames, timed_render

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.pool import MediaPool
from pixeldojo.media.probe import probe_media
from pixeldojo.media.render import load_libraries

PROMPTS = (
    "A sunset over the ocean with a sailboat",
    "a quiet lake at dawn",
    "snowy mountains",
    "green hills with a cottage",
    "a misty forest with a fox",
    "desert dunes",
    "neon city at night",
    "a galaxy with a planet",
    "coral reef",
    "clouds in the sky",
    "portrait of a woman",
    "abstract swirl",
)


@dataclass(frozen=True)
class Timed:
    """What one call took, in milliseconds, and how many bytes it wrote."""

    wall: float
    processor: float
    size: int


def image_order(prompt: str, seed: int, file_format: str) -> JsonObject:
    return {
        "kind": "image",
        "model_id": "bench",
        "prompt": prompt,
        "seed": seed,
        "width": 1024,
        "height": 1024,
        "operation": "generate",
        "count": 1,
        "file_format": file_format,
        "quality": 80,
    }


def show(name: str, values: list[float]) -> str:
    ordered = sorted(values)
    return f"{name} median {statistics.median(ordered):6.1f}  p90 {ordered[int(len(ordered) * 0.9)]:6.1f}"


async def bench_pictures(pool: MediaPool, folder: str, rounds: int) -> None:
    for file_format in ("jpg", "webp", "png"):
        taken: list[Timed] = []
        probes: list[float] = []
        for seed in range(rounds):
            for prompt in PROMPTS:
                order = image_order(prompt, seed, file_format)
                wall, processor, size, path = await pool.run(timed_render, order, folder, timeout_seconds=60)
                start = time.perf_counter()
                await pool.run(probe_media, Path(path), timeout_seconds=60)
                probes.append((time.perf_counter() - start) * 1e3)
                taken.append(Timed(wall, processor, size))
        warm = taken[len(PROMPTS) :] or taken
        print(
            f"1024x1024 {file_format:4}",
            show("wall", [one.wall for one in warm]),
            show("cpu", [one.processor for one in warm]),
            f"{statistics.median(one.size for one in warm) / 1024:5.0f} KiB",
            show("probe", probes),
        )


async def bench_frames(pool: MediaPool) -> None:
    for prompt in PROMPTS:
        first, further = await pool.run(timed_frames, prompt, 1280, 720, 24, timeout_seconds=60)
        print(f"1280x720 frames: first {first:6.1f}  further {further:5.1f}  {prompt}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="how often each prompt is drawn")
    rounds: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        async with MediaPool(max_workers=1) as pool:
            start = time.perf_counter()
            await pool.warm_up(load_libraries)
            print(f"a process and its libraries: {(time.perf_counter() - start) * 1e3:.0f} ms")
            await bench_pictures(pool, folder, rounds)
            await bench_frames(pool)


if __name__ == "__main__":
    asyncio.run(main())
