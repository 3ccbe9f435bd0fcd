"""Work on the caller's own pictures: fitting, grading, relighting, masks, larger canvases, prints laid on top.

Every function takes and gives RGB pictures (masks: L) and leaves its arguments as they were. Leaves what is drawn to
`scene`, and which operation does what to `image`.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pixeldojo.media.drawing.palette import Palette, blend, ramp
from pixeldojo.media.facts import UnreadableMedia

# 100 megapixels: what a worker decodes in memory, and the limit past which Pillow itself refuses.
MOST_PIXELS = 100_000_000
_READABLE = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")

_FRAME_SHARE = 0.045
_GRADE = 0.22
_PRINT_SHARE = 0.24
_MOST_PRINTS = 9
_COARSE_SIDE = 96
_SAME_SHAPE = 0.02

Size = tuple[int, int]


def open_picture(path: Path) -> Image.Image:
    """Decode a picture as RGB, upright, transparent parts on white; of an animation, the first frame.

    Raises:
        UnreadableMedia: if it cannot be decoded or has more than 100 megapixels.
    """
    with _opened(path) as opened:
        upright = ImageOps.exif_transpose(opened)
        if "A" in upright.getbands() or "transparency" in upright.info:
            layer = upright.convert("RGBA")
            sheet = Image.new("RGBA", layer.size, (255, 255, 255, 255))
            return Image.alpha_composite(sheet, layer).convert("RGB")
        return upright.convert("RGB")


def open_mask(path: Path) -> Image.Image:
    """Decode a mask as L: a mask in an alpha channel is white where it is transparent.

    Raises:
        UnreadableMedia: if it cannot be decoded or has more than 100 megapixels.
    """
    with _opened(path) as opened:
        if "A" in opened.getbands():
            return ImageOps.invert(opened.getchannel("A"))
        return opened.convert("L")


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; our own limit is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_READABLE) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise UnreadableMedia(f"a picture of {opened.width}x{opened.height} pixels is over 100 megapixels")
                yield opened
    except (Image.DecompressionBombError, OSError, SyntaxError, EOFError, RuntimeError) as error:
        raise UnreadableMedia("a picture among the inputs is broken or too large; send it whole") from error


def share(value: object, default: float) -> float:
    """Return a number held within 0..1, or the default for anything that is none."""
    return min(max(float(value), 0.0), 1.0) if isinstance(value, int | float) else default


def cover(picture: Image.Image, size: Size) -> Image.Image:
    """Return the picture scaled to fill a size, its overhang cut off evenly."""
    return picture.copy() if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def shrink(picture: Image.Image, share: float) -> Image.Image:
    """Return the picture at a share (0..1) of its width and height, at least one pixel each."""
    if share >= 1:
        return picture
    size = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    return picture.resize(size, Image.Resampling.LANCZOS)


def edit(source: Image.Image, drawn: Image.Image, palette: Palette) -> Image.Image:
    """Return the source in the drawn scene: whole, graded in the scene's colours, the scene showing around it.

    A source of the canvas's shape fills it and stays aligned with it; the scene then shows as a frame.
    """
    width, height = drawn.size
    graded = _graded(source, palette, _GRADE)
    picture = drawn.copy()
    inset = max(1, round(_FRAME_SHARE * min(width, height)))
    if abs(source.width / source.height / (width / height) - 1) < _SAME_SHAPE:
        whole = graded.resize(drawn.size, Image.Resampling.LANCZOS)
        box = (inset, inset, width - inset, height - inset)
        if box[2] <= box[0] or box[3] <= box[1]:
            return whole
        picture.paste(whole.crop(box), box)
    else:
        fitted = ImageOps.contain(graded, (max(1, width - 2 * inset), max(1, height - 2 * inset)))
        left, top = (width - fitted.width) // 2, (height - fitted.height) // 2
        box = (left, top, left + fitted.width, top + fitted.height)
        picture.paste(fitted, box)
    line = max(1, inset // 8)
    outline = (box[0] - line, box[1] - line, box[2] + line - 1, box[3] + line - 1)
    ImageDraw.Draw(picture).rectangle(outline, outline=_whole(palette.light), width=line)
    return picture


def fill_masked(source: Image.Image, drawn: Image.Image, mask: Image.Image) -> Image.Image:
    """Return the source with the drawn scene where the mask (L, the same size) is white."""
    return Image.composite(drawn, source, mask)


def restyle(source: Image.Image, palette: Palette, strength: float) -> Image.Image:
    """Return the source recoloured with the palette, dark to light; `strength` 0..1 is how far."""
    return _graded(ImageOps.autocontrast(source, cutoff=1), palette, 0.25 + 0.6 * strength)


def relight(source: Image.Image, palette: Palette, light_source: str) -> Image.Image:
    """Return the source lit from a side: a `light_source` that begins with left, right, top or bottom, or the front."""
    across = np.linspace(-1, 1, _COARSE_SIDE, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, _COARSE_SIDE, dtype=np.float32)[:, None]
    side = light_source.partition(" ")[0].casefold()
    towards = {"left": -across + 0 * down, "right": across + 0 * down, "top": -down + 0 * across}
    towards["bottom"] = down + 0 * across
    lit = towards.get(side, 0.9 - np.hypot(across, down))
    bright = Image.fromarray((255 * np.clip(0.5 + 0.5 * lit, 0, 1)).astype(np.uint8)).resize(source.size)
    shadowed = _mixed(source, palette.near, 0.55)
    glowing = _mixed(source, palette.light, 0.42)
    return Image.composite(glowing, shadowed, bright)


def reframe(source: Image.Image, palette: Palette, size: Size, corner: tuple[int, int]) -> Image.Image:
    """Return the source, pixel by pixel, on a larger canvas with its top left pixel at `corner`.

    The new ground carries on the source's own edges, softer and more in the scene's colours the further out.
    """
    canvas = _carried_on(source, palette, size, corner)
    canvas.paste(source, corner)
    return canvas


def show_prints(picture: Image.Image, references: list[Image.Image]) -> Image.Image:
    """Return the picture with reference pictures laid on it as small bordered prints along its upper edge."""
    if not references:
        return picture
    shown = references[:_MOST_PRINTS]
    unit = min(picture.size)
    side = min(round(_PRINT_SHARE * unit), round(0.92 * picture.width / len(shown)))
    border = max(1, side // 24)
    result = picture.copy()
    if side <= 2 * border:
        return result
    step = side + border
    left = max(border, (picture.width - step * len(shown)) // 2)
    top = round(0.07 * unit)
    for number, reference in enumerate(shown):
        small = ImageOps.contain(reference, (side - 2 * border, side - 2 * border))
        sheet = Image.new("RGB", (small.width + 2 * border, small.height + 2 * border), (250, 248, 242))
        sheet.paste(small, (border, border))
        at = left + number * step + (side - sheet.width) // 2, top + (side - sheet.height) // 2
        result.paste((16, 16, 20), (at[0] + border, at[1] + border), _shadow(sheet.size, border))
        result.paste(sheet, at)
    return result


def _shadow(size: Size, soft: int) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle((soft, soft, size[0] - soft, size[1] - soft), fill=130)
    return mask.filter(ImageFilter.BoxBlur(soft))


def _graded(source: Image.Image, palette: Palette, amount: float) -> Image.Image:
    """Return the source mixed with itself recoloured from the palette's dark to its light."""
    indexed = source.convert("L")
    colours = ramp(palette.near, blend(palette.far, palette.sky[2], 0.5), palette.sky[3], palette.light)
    indexed.putpalette(np.clip(colours, 0, 255).astype(np.uint8).tobytes())
    return Image.blend(source, indexed.convert("RGB"), amount)


def _mixed(source: Image.Image, colour: NDArray[np.float32], amount: float) -> Image.Image:
    return Image.blend(source, Image.new("RGB", source.size, _whole(colour)), amount)


def _carried_on(source: Image.Image, palette: Palette, size: Size, corner: tuple[int, int]) -> Image.Image:
    """Return a canvas on which each pixel outside the source is a soft mirror of the pixels inside its edge."""
    scale = max(1, max(size) // _COARSE_SIDE)
    width, height = max(2, size[0] // scale), max(2, size[1] // scale)
    small = np.asarray(source.resize((max(1, source.width // scale), max(1, source.height // scale))))
    rows = np.arange(height) - corner[1] // scale
    columns = np.arange(width) - corner[0] // scale
    mirrored = small[_reflected(rows, small.shape[0])][:, _reflected(columns, small.shape[1])].astype(np.float32)
    across = np.maximum(np.maximum(-columns, columns - small.shape[1] + 1), 0)[None, :]
    down = np.maximum(np.maximum(-rows, rows - small.shape[0] + 1), 0)[:, None]
    far = np.clip(np.hypot(across, down) / (0.5 * min(width, height)), 0, 1)[..., None]
    towards = ramp(*palette.sky, size=height)[:, None]
    colours = mirrored + (towards - mirrored) * (0.15 + 0.6 * far)
    soft = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
    return soft.resize(size, Image.Resampling.BICUBIC)


def _reflected(places: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Return places outside 0..length-1 as those they mirror onto."""
    folded = np.abs(places) % (2 * length)
    mirrored: NDArray[np.intp] = np.minimum(folded, 2 * length - 1 - folded)
    return mirrored


def _whole(colour: NDArray[np.float32]) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    return red, green, blue
