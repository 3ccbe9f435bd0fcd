"""The colours of a scene: one hand-picked set for each mood, turned a little by each prompt's own words.

Owns colour arithmetic and `mix_palette`. Colours are float32 arrays of red, green, blue in 0..255.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pixeldojo.media.drawing.vocabulary import Mood, Reading

Colour = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by what they are for.

    Attributes:
        sky: From the zenith to the horizon, shape (4, 3).
        light: The sun, the moon, a lamp.
        cloud: Where light falls on it.
        shade: Its shadow side.
        far: The most distant land.
        near: The closest land.
        water: Deep water.
        accent: What should catch the eye.
        is_dark: Whether stars and windows shine.
    """

    sky: Colour
    light: Colour
    cloud: Colour
    shade: Colour
    far: Colour
    near: Colour
    water: Colour
    accent: Colour
    is_dark: bool


# Zenith to horizon, then light, cloud, shade, far, near, water, accent.
_MOOD_COLOURS = {
    Mood.SUNSET: "171c4a 5a2b70 d9566c ffb56d fff1c9 ff9f7c 5d2f66 8b3f6d 160f2b 2c2052 ffcf6e",
    Mood.DAWN: "33548c 87a3d0 f2c4c0 ffe8c6 fffbe8 fff0e8 b6a2c6 8d9cc2 26334e 557aa6 f4a09c",
    Mood.DAY: "1a63c8 4a9fe6 a3d4f5 ecf7fb ffffff ffffff b3c9dc 86abc0 1c4a34 1b6390 ffd24d",
    Mood.GOLDEN: "44658a b39a80 f3b35d ffe3a6 fff6d8 ffdba0 9c7a70 b58a63 2a1c12 5a6a72 ff9f2e",
    Mood.NIGHT: "04061a 0a1336 1b2c60 43568f f6f2df 35457a 0e1638 1f2b57 050918 0a1434 ffd166",
    Mood.STORM: "191f27 37434f 667480 a9aea4 eef0de 8d979d 272e35 4f5c64 0f1518 273841 ecdc88",
    Mood.MIST: "8299a6 aebfc4 d2dcda f0f1e9 fffdf2 f2f4ef b4c1c4 a5b5b9 38494d 7f979c e8b878",
    Mood.AUTUMN: "55789a a6b6b2 eddaa9 fae9c2 fff5d4 fff0d6 bda88e b58c50 481d0c 5c6f6c e0561d",
    Mood.WINTER: "5f88b2 a3c2dc dbeaf3 fbfdff fffaf0 ffffff b5c8d9 a7bccd 2c4258 6b93b0 d64550",
    Mood.NEON: "080219 280948 7c1da4 ff3a96 ffe6fb b13bc9 2b0b52 421570 090116 170843 21e6ff",
    Mood.PASTEL: "9dc2f0 d3c1ee f8c9da fff1de fffdf5 fff3f3 d6bfe2 b9a8da 5f609c 9fb6e4 ff85a8",
    Mood.FIRE: "110303 470c07 b3290a ff8c22 ffe9a8 d2480f 2c0907 6a1a0c 0e0302 3a0c06 ffb428",
    Mood.EMERALD: "27708f 62aab4 b5dfc4 f4f8d6 fdffe6 f2fae0 7fb7a0 6aa878 0b2a1c 2b6a5c ffd35c",
    Mood.DEEP: "b9f2ec 38b3c3 0d5d86 041f3b e9fffb 8fe6e6 1b6f8c 0f5878 02152a 06304f ff9a62",
    Mood.COSMOS: "02020d 0a0a2b 1f1050 45186f fff2dc 6c3fb0 180a3c 2a1458 04030f 0b0a30 ff8f5c",
    Mood.SEPIA: "6d5138 a3835e d9bf94 f2e3c2 fff8e3 efdfbe a88b66 9a7b55 2b1b0e 7a6144 b5502b",
}

_SKY_SHARE = 0.45  # skies look wrong sooner than land does
_DARK = {Mood.NIGHT, Mood.NEON, Mood.COSMOS}


def mix_palette(reading: Reading) -> Palette:
    """Return the colours for a reading of a prompt."""
    colours = np.array(
        [[int(code[at : at + 2], 16) for at in (0, 2, 4)] for code in _MOOD_COLOURS[reading.mood].split()],
        np.float32,
    )
    colours[4:] = turn_hue(colours[4:], reading.hue_shift)
    colours[:4] = turn_hue(colours[:4], reading.hue_shift * _SKY_SHARE)
    if reading.colour is not None:
        named = np.array(reading.colour, np.float32)
        colours[1:9] = tint(colours[1:9], named, 0.28)
        colours[10] = named
    light, cloud, shade, far, near, water, accent = colours[4:]
    return Palette(
        sky=colours[:4],
        light=light,
        cloud=cloud,
        shade=shade,
        far=far,
        near=near,
        water=water,
        accent=accent,
        is_dark=reading.mood in _DARK,
    )


def turn_hue(colours: Colour, degrees: float) -> Colour:
    """Return colours of shape (n, 3) with their hue turned, lightness and saturation kept."""
    turned = []
    for red, green, blue in colours / 255:
        hue, lightness, saturation = colorsys.rgb_to_hls(float(red), float(green), float(blue))
        turned.append(colorsys.hls_to_rgb((hue + degrees / 360) % 1, lightness, saturation))
    return np.array(turned, np.float32) * 255


def tint(colours: Colour, towards: Colour, amount: float) -> Colour:
    """Return colours moved towards a hue while each keeps its brightness."""
    weights = np.array([0.30, 0.59, 0.11], np.float32)
    brightness = (colours @ weights) / max(float(towards @ weights), 1.0)
    wanted = np.clip(towards * brightness[..., None], 0, 255)
    return (colours * (1 - amount) + wanted * amount).astype(np.float32)


def blend(first: Colour, second: Colour, amount: float) -> Colour:
    """Return the colour `amount` (0..1) of the way from the first to the second."""
    return (first * (1 - amount) + second * amount).astype(np.float32)


def ramp(*stops: Colour, size: int = 256) -> Colour:
    """Return a smooth run of `size` colours through evenly spaced stops, shape (size, 3)."""
    points = np.linspace(0, 1, len(stops))
    at = np.linspace(0, 1, size)
    table = np.stack(stops)
    return np.stack([np.interp(at, points, table[:, channel]) for channel in range(3)], axis=1).astype(np.float32)


def ink(colours: Colour) -> bytes:
    """Return 256 colours as the bytes of a Pillow palette."""
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8).tobytes()
