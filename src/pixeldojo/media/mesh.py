"""The sandbox's 3D jobs: a shape from a prompt or a picture, as a binary glTF file.

A picture becomes a relief of itself; a prompt's subject becomes its outline, inflated; any other prompt becomes a
small world with its own coast and colours. Owns shapes and textures; leaves the file layout to `glb`.
"""

import io
import math
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from pixeldojo.media.drawing.noise import Field, fractal
from pixeldojo.media.drawing.palette import ink, ramp
from pixeldojo.media.drawing.stage import Stage
from pixeldojo.media.drawing.subjects import draw_subject
from pixeldojo.media.glb import Material, Mesh, write_glb
from pixeldojo.media.image import SOFTWARE, derive_seed
from pixeldojo.media.orders import MeshOrder, Role
from pixeldojo.media.retouch import open_picture
from pixeldojo.media.scene import Scene, compose

# 60,000 triangles and a 1,024 pixel texture keep a file below three megabytes.
_MOST_FACES = 60_000
_FEWEST_FACES = 500
_TEXTURE_SIDE = 1_024
_RELIEF = 0.10
_THICKNESS = 0.16
_INFLATION = 0.22


def render_mesh(order: MeshOrder, folder: Path) -> list[Path]:
    """Make an order's model in `folder` and return its path, alone in a list.

    Raises:
        UnreadableMedia: if the source picture cannot be decoded.
    """
    seed = derive_seed(order.model_id, order.seed, 0)
    scene = compose(order.prompt, seed)
    sources = order.sources.get(Role.SOURCE_IMAGE, ())
    faces = min(max(order.face_count, _FEWEST_FACES), _MOST_FACES)
    if sources:
        mesh, texture = _relief(open_picture(sources[0]), faces)
    elif scene.reading.subject is not None:
        mesh, texture = _figure(scene, seed, faces)
    else:
        mesh, texture = _world(scene, seed, faces)
    path = folder / f"{uuid4().hex}.glb"
    extras: dict[str, str | int] = {"prompt": order.prompt, "model": order.model_id, "seed": order.seed}
    write_glb(path, mesh, _material(order, texture), generator=SOFTWARE, extras=extras)
    return [path]


def _relief(picture: Image.Image, faces: int) -> tuple[Mesh, Image.Image]:
    """Return a slab whose front rises where the picture is bright."""
    texture = picture.copy()
    texture.thumbnail((_TEXTURE_SIDE, _TEXTURE_SIDE))
    rows, columns = _grid_for(faces, texture.height / texture.width)
    small = texture.convert("L").resize((columns, rows)).filter(ImageFilter.GaussianBlur(1))
    heights = (np.asarray(small) / np.float32(255) * np.float32(_RELIEF) + np.float32(_THICKNESS / 2)).astype(
        np.float32
    )
    inside = np.ones((rows - 1, columns - 1), bool)
    return _two_sided(inside, heights, np.full(heights.shape, _THICKNESS / 2, np.float32)), texture


def _figure(scene: Scene, seed: int, faces: int) -> tuple[Mesh, Image.Image]:
    """Return the prompt's subject as an inflated outline."""
    subject = scene.reading.subject
    assert subject is not None
    stage = Stage(scene.reading, scene.palette, seed, _TEXTURE_SIDE, _TEXTURE_SIDE)
    sprite = draw_subject(stage, subject, _TEXTURE_SIDE, lit=True)
    outline = np.asarray(sprite.mask) > 127
    # The outline covers about a third of its square, so the grid may be finer than the budget of the whole square.
    cover = max(0.05, float(outline.mean()))
    side = _grid_for(int(faces / cover * 0.9), 1.0)[0]
    corners = np.asarray(sprite.mask.resize((side, side), Image.Resampling.BOX)) > 127
    inside = corners[:-1, :-1] & corners[1:, :-1] & corners[:-1, 1:] & corners[1:, 1:]
    heights = _inflated(inside)
    sheet = Image.new("RGB", sprite.image.size, tuple(int(value) for value in scene.palette.accent))
    sheet.paste(sprite.image, (0, 0), sprite.mask)
    return _two_sided(inside, heights, heights), sheet


def _world(scene: Scene, seed: int, faces: int) -> tuple[Mesh, Image.Image]:
    """Return a sphere with mountains, coloured by height."""
    rows = max(8, math.isqrt(faces // 4))
    columns = rows * 2
    rng = np.random.default_rng(seed)
    ground = _round_noise(rng, rows + 1, columns + 1)
    latitude = np.linspace(0, np.pi, rows + 1, dtype=np.float32)[:, None]
    longitude = np.linspace(0, 2 * np.pi, columns + 1, dtype=np.float32)[None, :]
    radius = 0.45 + 0.16 * np.maximum(ground - 0.42, 0)
    spread = np.sin(latitude) * radius
    points = np.stack(
        [spread * np.sin(longitude), np.cos(latitude) * radius, spread * np.cos(longitude)], axis=-1
    ).reshape(-1, 3)
    across, down = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    triangles = _quads(np.ones((rows, columns), bool), flip=False)
    places = np.stack([across, down], axis=-1).reshape(-1, 2).astype(np.float32)
    shades = Image.fromarray((255 * ground).astype(np.uint8)).resize((_TEXTURE_SIDE, _TEXTURE_SIDE // 2))
    palette = scene.palette
    shades.putpalette(ink(ramp(palette.water, palette.water, palette.sky[3], palette.accent, palette.light)))
    positions = points.astype(np.float32)
    return Mesh(positions, _normals(positions, triangles), places, triangles), shades.convert("RGB")


def _round_noise(rng: np.random.Generator, rows: int, columns: int) -> Field:
    """Return heights 0..1 that meet at the seam and are level at the poles."""
    flat = fractal(rng, rows, columns, cells=3, octaves=5)
    blend = np.linspace(0, 1, columns, dtype=np.float32)[None, :]
    seamless = flat * blend + flat[:, ::-1] * (1 - blend)
    pole = np.sin(np.linspace(0, np.pi, rows, dtype=np.float32)).clip(0)[:, None] ** 0.5
    level = 0.45 + (seamless - 0.45) * pole
    level[:, -1] = level[:, 0]
    low, high = float(level.min()), float(level.max())
    return ((level - low) / max(high - low, 1e-6)).astype(np.float32)


def _inflated(inside: NDArray[np.bool_]) -> Field:
    """Return a height for each corner of the cells: zero on the outline, rounding off towards the middle."""
    padded = np.pad(inside, 1)
    corners = padded[:-1, :-1] & padded[1:, :-1] & padded[:-1, 1:] & padded[1:, 1:]
    mask = Image.fromarray(corners.astype(np.uint8) * 255)
    height = np.zeros(corners.shape, np.float32)
    reach = max(2, inside.shape[0] // 40)
    for radius in (reach, reach * 2, reach * 4):
        near = np.asarray(mask.filter(ImageFilter.BoxBlur(radius))).astype(np.float32) / 255
        height += np.clip(2 * near - 1, 0, 1)
    return (np.sqrt(height / 3) * corners * _INFLATION * 0.5).astype(np.float32)


def _two_sided(inside: NDArray[np.bool_], front: Field, back: Field) -> Mesh:
    """Return a closed body: cells of a grid standing upright, `front` and `back` deep at each of their corners."""
    rows, columns = front.shape
    largest = max(rows, columns) - 1
    across, down = np.meshgrid(np.arange(columns), np.arange(rows))
    flat = np.stack([(across - (columns - 1) / 2) / largest, ((rows - 1) / 2 - down) / largest], axis=-1)
    ahead = np.concatenate([flat, front[..., None]], axis=-1).reshape(-1, 3)
    behind = np.concatenate([flat, -back[..., None]], axis=-1).reshape(-1, 3)
    count = rows * columns
    triangles = np.concatenate(
        [_quads(inside, flip=False), _quads(inside, flip=True) + np.uint32(count), _walls(inside, count)]
    )
    positions = np.concatenate([ahead, behind]).astype(np.float32)
    place = np.stack([across / (columns - 1), down / (rows - 1)], axis=-1).reshape(-1, 2)
    return _used_only(positions, np.concatenate([place, place]).astype(np.float32), triangles)


def _quads(inside: NDArray[np.bool_], *, flip: bool) -> NDArray[np.uint32]:
    """Return two triangles for each cell of a grid of corners numbered row by row."""
    columns = inside.shape[1] + 1
    row, column = np.nonzero(inside)
    first = row * columns + column
    square = np.stack([first, first + columns, first + 1, first + 1, first + columns, first + columns + 1], axis=1)
    triangles = square.reshape(-1, 3)
    return (triangles[:, ::-1] if flip else triangles).astype(np.uint32)


def _walls(inside: NDArray[np.bool_], count: int) -> NDArray[np.uint32]:
    """Return the triangles that join front and back along the outline (degenerate where both meet there)."""
    columns = inside.shape[1] + 1
    padded = np.pad(inside, 1)
    walls = []
    # For each side of a cell: which neighbour must be missing, and its two corners in the order seen from outside.
    sides = (((-1, 0), (0, 1), (0, 0)), ((1, 0), (1, 0), (1, 1)), ((0, -1), (0, 0), (1, 0)), ((0, 1), (1, 1), (0, 1)))
    for (down, across), start, end in sides:
        neighbour = padded[1 + down : padded.shape[0] - 1 + down, 1 + across : padded.shape[1] - 1 + across]
        row, column = np.nonzero(inside & ~neighbour)
        one = (row + start[0]) * columns + column + start[1]
        two = (row + end[0]) * columns + column + end[1]
        walls.append(np.stack([one, one + count, two, two, one + count, two + count], axis=1).reshape(-1, 3))
    return np.concatenate(walls).astype(np.uint32)


def _used_only(positions: Field, places: Field, triangles: NDArray[np.uint32]) -> Mesh:
    """Return the mesh without triangles of no area and without vertices that no triangle uses."""
    corners = positions[triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    kept = triangles[area > 1e-12]
    used, renumbered = np.unique(kept, return_inverse=True)
    triangles = renumbered.reshape(-1, 3).astype(np.uint32)
    return Mesh(positions[used], _normals(positions[used], triangles), places[used], triangles)


def _normals(positions: Field, triangles: NDArray[np.uint32]) -> Field:
    corners = positions[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = np.zeros_like(positions, np.float64)
    for corner in range(3):
        np.add.at(sums, triangles[:, corner], facing)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    upward = np.array([[0.0, 1.0, 0.0]])
    return np.where(length > 1e-12, sums / np.maximum(length, 1e-12), upward).astype(np.float32)


def _grid_for(faces: int, ratio: float) -> tuple[int, int]:
    """Return rows and columns of corners of a two-sided grid of that height-to-width ratio within a face budget."""
    columns = max(4, int(math.sqrt(faces / 4 / ratio)) - 2)
    rows = max(4, int(columns * ratio))
    while 4 * (rows - 1) * (columns - 1) + 4 * (rows + columns) > faces and min(rows, columns) > 4:
        rows, columns = rows - 1, columns - 1
    return rows, columns


def _material(order: MeshOrder, texture: Image.Image) -> Material:
    if not order.textured:
        return Material()
    base = _jpeg(texture)
    if not order.with_pbr:
        return Material(base_colour=base)
    return Material(base_colour=base, metallic_roughness=_jpeg(_rough(texture)), normal=_jpeg(_bumps(texture)))


def _rough(texture: Image.Image) -> Image.Image:
    """Return roughness (green) that falls where the texture is bright, and no metal (blue)."""
    grey = texture.convert("L")
    none = Image.new("L", grey.size)
    return Image.merge("RGB", (none, grey.point([240 - value // 2 for value in range(256)]), none))


def _bumps(texture: Image.Image) -> Image.Image:
    """Return a normal map that takes the texture's brightness for height."""
    height = np.asarray(texture.convert("L").filter(ImageFilter.GaussianBlur(2))).astype(np.float32) / 255
    down, across = np.gradient(height)
    slopes = np.stack([-across * 6, down * 6, np.ones_like(height)], axis=-1)
    unit = slopes / np.linalg.norm(slopes, axis=-1, keepdims=True)
    return Image.fromarray(np.rint((unit * 0.5 + 0.5) * 255).astype(np.uint8))


def _jpeg(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=88)
    return target.getvalue()
