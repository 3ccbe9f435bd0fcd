"""Pictures with soft edges laid over frames, at fractions of a pixel so that slow movement stays smooth.

Owns turning RGBA into what can be laid over YUV frames, and the laying. Leaves what the pictures show to others.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from pixeldojo.media.lettering import Lettering, prepare_lettering
from pixeldojo.media.planes import planes_of

Values = NDArray[np.float32]

# BT.601, limited range: rows give Y, U, V from R, G, B; Y also starts at 16 and U, V at 128.
_MATRIX = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]) / 255
_ORIGIN = np.array([16.0, 128.0, 128.0])
_CHANNELS = 3


class _Layer(NamedTuple):
    """One plane of a sprite: its values times its opacity, and the opacity; both with a clear edge one wide."""

    values: Values
    opacity: Values


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture that can be laid over `yuv420p` frames.

    Attributes:
        width: Pixels.
        height: Pixels.
    """

    width: int
    height: int
    _layers: tuple[_Layer, _Layer, _Layer]

    def lay(self, frame: VideoFrame, left: float, top: float, strength: float = 1.0) -> None:
        """Draw it into `frame`, in place, with its corner at fractions of a pixel; what lies outside is cut."""
        if strength <= 0:
            return
        for target, layer, half in zip(planes_of(frame), self._layers, (1, 2, 2), strict=True):
            _lay_layer(target, layer, left / half, top / half, strength)


def sprite_from_image(picture: Image.Image) -> Sprite:
    """Make a sprite of a picture with opacity (RGBA or LA)."""
    pixels = np.asarray(picture.convert("RGBA")).astype(np.float32)
    opacity = pixels[..., 3:] / 255
    return _sprite(pixels[..., :3] * opacity, opacity[..., 0])


def sprites_from_lettering(lettering: Lettering) -> tuple[tuple[Sprite, int, int], ...]:
    """Return each piece of lettering as a sprite, with its left column and top row."""
    return tuple((sprite_from_image(plate), left, top) for plate, left, top in lettering.plates)


class Lettered:
    """The words on a clip: the mark, on every frame, and the prompt, which may come and go."""

    def __init__(self, prompt: str, width: int, height: int) -> None:
        everything = sprites_from_lettering(prepare_lettering(prompt, width, height))
        self._mark = sprites_from_lettering(prepare_lettering("", width, height))
        self._words = everything[: len(everything) - len(self._mark)]

    def stamp(self, frame: VideoFrame, strength: float) -> None:
        """Draw the mark, and the prompt with `strength` (0..1), into `frame`, in place."""
        for sprite, left, top in self._words:
            sprite.lay(frame, left, top, strength)
        for sprite, left, top in self._mark:
            sprite.lay(frame, left, top)


def coded_colour(colour: NDArray[np.floating]) -> Values:
    """Return Y, U, V for red, green, blue (0..255), in the last of the array's dimensions."""
    coded: Values = (colour @ _MATRIX.T + _ORIGIN).astype(np.float32)
    return coded


def card(picture: Image.Image, tilt_degrees: float = 0.0) -> Sprite:
    """Return the picture as a print lying on a table: white edge, soft shadow, a little tilt."""
    edge = max(2, round(min(picture.size) / 40))
    shade = max(3, round(min(picture.size) / 14))
    width, height = picture.width + 2 * edge, picture.height + 2 * edge
    board = Image.new("RGBA", (width + 4 * shade, height + 4 * shade), (0, 0, 0, 0))
    draw = ImageDraw.Draw(board)
    corner = 2 * shade
    draw.rectangle((corner, corner + shade, corner + width, corner + height + shade), fill=(0, 0, 0, 120))
    board = board.filter(ImageFilter.GaussianBlur(shade * 0.7))
    ImageDraw.Draw(board).rectangle((corner, corner, corner + width - 1, corner + height - 1), fill=(248, 246, 240))
    board.paste(picture.convert("RGB"), (corner + edge, corner + edge))
    if tilt_degrees:
        board = board.rotate(tilt_degrees, Image.Resampling.BICUBIC, expand=True)
    return sprite_from_image(board)


def _sprite(colour: NDArray[np.floating], opacity: NDArray[np.floating]) -> Sprite:
    height, width = opacity.shape
    coded = colour @ _MATRIX.T.astype(np.float32) + opacity[..., None] * _ORIGIN.astype(np.float32)
    half_opacity = _halved(opacity)
    return Sprite(
        width,
        height,
        (
            _Layer(_edged(coded[..., 0]), _edged(opacity)),
            _Layer(_edged(_halved(coded[..., 1])), _edged(half_opacity)),
            _Layer(_edged(_halved(coded[..., 2])), _edged(half_opacity)),
        ),
    )


def _halved(values: NDArray[np.floating]) -> NDArray[np.floating]:
    height, width = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2)))
    halved: NDArray[np.floating] = even.reshape((height + 1) // 2, 2, (width + 1) // 2, 2).mean(axis=(1, 3))
    return halved


def _edged(values: NDArray[np.floating]) -> Values:
    return np.pad(values, 1).astype(np.float32)


def _lay_layer(target: NDArray[np.uint8], layer: _Layer, left: float, top: float, strength: float) -> None:
    column, row = int(np.floor(left)), int(np.floor(top))
    values = _shifted(layer.values, left - column, top - row)
    opacity = _shifted(layer.opacity, left - column, top - row)
    rows, columns = values.shape
    above, before = max(0, -row), max(0, -column)
    room = target[max(0, row) : max(0, row + rows), max(0, column) : max(0, column + columns)]
    if room.size == 0:
        return
    part = (slice(above, above + room.shape[0]), slice(before, before + room.shape[1]))
    if strength < 1:
        values, opacity = values[part] * strength, opacity[part] * strength
    else:
        values, opacity = values[part], opacity[part]
    room[...] = room * (1 - opacity) + values + np.float32(0.5)


def _shifted(edged: Values, right: float, down: float) -> Values:
    """Drop the clear edge on one side, moving the content by a fraction of a pixel (0..1) towards the other."""
    if right == 0 and down == 0:
        return edged[1:, 1:]
    across = edged[:, 1:] * np.float32(1 - right) + edged[:, :-1] * np.float32(right)
    shifted = across[1:] * np.float32(1 - down) + across[:-1] * np.float32(down)
    return shifted.astype(np.float32, copy=False)
