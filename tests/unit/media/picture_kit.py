"""What the picture tests share: small orders, source pictures with a pattern of their own, and reading files back."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pixeldojo.core.json_types import JsonValue
from pixeldojo.media.image import render_image
from pixeldojo.media.orders import ImageOperation, ImageOrder, Role

Pixels = NDArray[np.uint8]


def order(
    prompt: str = "a boat on the sea at sunset",
    *,
    size: tuple[int, int] = (192, 128),
    operation: ImageOperation = ImageOperation.GENERATE,
    sources: Mapping[Role, tuple[Path, ...]] | None = None,
    options: Mapping[str, JsonValue] | None = None,
    seed: int = 7,
    count: int = 1,
    file_format: str = "png",
    quality: int = 90,
    model_id: str = "flux-1.1-pro",
) -> ImageOrder:
    return ImageOrder(
        model_id=model_id,
        prompt=prompt,
        seed=seed,
        width=size[0],
        height=size[1],
        operation=operation,
        count=count,
        file_format=file_format,
        quality=quality,
        sources=sources or {},
        options=options or {},
    )


def rendered(asked: ImageOrder, folder: Path) -> Pixels:
    """Return the pixels of the first picture of an order."""
    return read_pixels(render_image(asked, folder)[0])


def read_pixels(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def source_pixels(width: int, height: int) -> Pixels:
    """Return a picture like no scene: broad colour fields crossed by dark bars."""
    across = np.linspace(0, 255, width)[None, :]
    down = np.linspace(0, 255, height)[:, None]
    bars = np.where((np.arange(width) // max(4, width // 12)) % 2, 1.0, 0.35)[None, :]
    red, green, blue = across * bars + 0 * down, down * bars + 0 * across, (255 - across) * bars + 0 * down
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def write_source(path: Path, width: int = 96, height: int = 64) -> Path:
    Image.fromarray(source_pixels(width, height)).save(path)
    return path


def likeness(one: Pixels, other: Pixels) -> float:
    """Return how alike two pictures of one size are: the correlation of their pixels, 1 when alike."""
    first, second = one.astype(float).ravel(), other.astype(float).ravel()
    return float(np.corrcoef(first, second)[0, 1])
