"""The sandbox's image jobs: from an order to files.

Owns encoding, embedded facts and which picture an operation gives. Leaves drawn pictures to `scene`, work on the
caller's pictures to `retouch`, text on them to `lettering`.
"""

import hashlib
import json
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import ExifTags, Image, ImageOps

from pixeldojo.media import retouch
from pixeldojo.media.lettering import Lettering, prepare_lettering, prepare_mark
from pixeldojo.media.orders import ImageOperation, ImageOrder, Role
from pixeldojo.media.png import write_png
from pixeldojo.media.scene import Scene, compose

SOFTWARE = "PixelDojo sandbox"

_FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}
_LARGEST_SIDE = {"png": 65_535, "jpg": 65_535, "webp": 16_383}
_WEBP_EFFORT = 1  # each step up costs a third more time for a few per cent of size
_FULL_COLOUR_QUALITY = 95
_DEFAULT_STRENGTH = 0.6
_CORNER_SHARE = 0.08


def render_image(order: ImageOrder, folder: Path) -> list[Path]:
    """Draw an order's pictures into `folder` and return their paths, in order.

    Raises:
        ValueError: if the format is unknown, cannot hold the size, or a source the operation needs is missing.
        UnreadableMedia: if a source cannot be decoded.
    """
    if order.file_format not in _FORMATS:
        raise ValueError(f"images come as {', '.join(_FORMATS)}, not as {order.file_format!r}")
    if max(order.width, order.height) > _LARGEST_SIDE[order.file_format]:
        raise ValueError(f"{order.width}x{order.height} pixels do not fit into a {order.file_format} file")
    job = uuid4().hex
    paths = []
    for position in range(order.count):
        seed = derive_seed(order.model_id, order.seed, position)
        path = folder / f"{job}-{position}.{order.file_format}"
        _encode(_draw(order, seed), order, path)
        paths.append(path)
    return paths


def derive_seed(model_id: str, seed: int, position: int) -> int:
    """Return the seed of one output: other models and further outputs of one job draw other pictures."""
    digest = hashlib.blake2b(f"{model_id}\n{seed}\n{position}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _draw(order: ImageOrder, seed: int) -> Image.Image:
    picture = _picture(order, compose(order.prompt, seed))
    _lettering(order).print_on(picture)
    if order.options.get("is_transparent") is True and order.file_format != "jpg":
        picture.putalpha(_rounded_corners(order.width, order.height))
    return picture


def _picture(order: ImageOrder, scene: Scene) -> Image.Image:
    """Return a picture (RGB) of its own, still without words."""
    size = order.width, order.height
    if order.operation is ImageOperation.GENERATE:
        references = [retouch.open_picture(path) for path in order.sources.get(Role.REFERENCE_IMAGES, ())]
        return retouch.show_prints(scene.picture(*size), references)
    source = retouch.open_picture(_source(order))
    match order.operation:
        case ImageOperation.EDIT:
            return _edited(order, scene, source)
        case ImageOperation.RESTYLE:
            strength = retouch.share(order.options.get("strength"), _DEFAULT_STRENGTH)
            return retouch.restyle(retouch.cover(source, size), scene.palette, strength)
        case ImageOperation.RELIGHT:
            light = order.options.get("light_source")
            return retouch.relight(retouch.cover(source, size), scene.palette, str(light))
        case ImageOperation.UPSCALE:
            return source.resize(size, Image.Resampling.LANCZOS)
        case ImageOperation.REFRAME:
            placed = retouch.shrink(source, retouch.share(order.options.get("scale"), 1.0))
            return retouch.reframe(placed, scene.palette, size, _corner(order))


def _edited(order: ImageOrder, scene: Scene, source: Image.Image) -> Image.Image:
    size = order.width, order.height
    drawn = scene.picture(*size)
    references = [retouch.open_picture(path) for path in order.sources.get(Role.REFERENCE_IMAGES, ())]
    mask = _mask(order)
    if mask is not None:
        filled = retouch.fill_masked(retouch.cover(source, size), drawn, retouch.cover(mask, size))
        return retouch.show_prints(filled, references)
    return retouch.show_prints(retouch.edit(source, drawn, scene.palette), references)


def _mask(order: ImageOrder) -> Image.Image | None:
    """Return what may change, in white; None for the whole picture."""
    for path in order.sources.get(Role.MASK, ()):
        return retouch.open_mask(path)
    for path in order.sources.get(Role.KEPT_MASK, ()):
        return ImageOps.invert(retouch.open_mask(path))
    return None


def _source(order: ImageOrder) -> Path:
    paths = order.sources.get(Role.SOURCE_IMAGE, ())
    if not paths:
        raise ValueError(f"an order to {order.operation} needs a source image")
    return paths[0]


def _corner(order: ImageOrder) -> tuple[int, int]:
    """Return where the source's top left pixel goes."""
    match order.options.get("left"), order.options.get("top"):
        case int(left), int(top):
            return left, top
    raise ValueError("an order to reframe needs whole pixels `left` and `top`")


def _lettering(order: ImageOrder) -> Lettering:
    """The prompt is written where the picture is ours; on the caller's own pixels only the mark is set."""
    if order.operation is ImageOperation.REFRAME:
        left, top = _corner(order)
        return prepare_mark(order.width, order.height, at_left=left > 0, at_foot=top <= 0)
    is_ours = order.operation in {ImageOperation.GENERATE, ImageOperation.EDIT, ImageOperation.RESTYLE}
    is_masked = bool({Role.MASK, Role.KEPT_MASK} & order.sources.keys())
    prompt = order.prompt if is_ours and not is_masked else ""
    return prepare_lettering(prompt, order.width, order.height)


def _rounded_corners(width: int, height: int) -> Image.Image:
    """Return an opaque sheet with transparent round corners (L)."""
    radius = max(1.0, _CORNER_SHARE * min(width, height))
    across = np.abs(np.arange(width) + 0.5 - width / 2) - (width / 2 - radius)
    down = np.abs(np.arange(height) + 0.5 - height / 2) - (height / 2 - radius)
    away = np.hypot(np.maximum(across, 0)[None, :], np.maximum(down, 0)[:, None])
    return Image.fromarray((255 * np.clip(radius - away, 0, 1)).astype(np.uint8))


def _encode(picture: Image.Image, order: ImageOrder, path: Path) -> None:
    facts: dict[str, str | int] = {
        "software": SOFTWARE,
        "model": order.model_id,
        "prompt": order.prompt,
        "seed": order.seed,
    }
    quality = min(max(order.quality, 1), 100)
    match order.file_format:
        case "png":
            text = {"Software": SOFTWARE, "Model": order.model_id, "Seed": str(order.seed), "Description": order.prompt}
            write_png(path, np.asarray(picture), text)
        case "jpg":
            subsampling = 0 if quality >= _FULL_COLOUR_QUALITY else 2
            picture.save(path, "JPEG", quality=quality, subsampling=subsampling, exif=_exif(facts))
        case _:
            picture.save(path, "WEBP", quality=quality, method=_WEBP_EFFORT, exif=_exif(facts))


def _exif(facts: dict[str, str | int]) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = SOFTWARE
    written = json.dumps(facts, ensure_ascii=True).encode()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0" + written
    exif[ExifTags.Base.ImageDescription] = f"{facts['model']}, seed {facts['seed']}"
    return exif
