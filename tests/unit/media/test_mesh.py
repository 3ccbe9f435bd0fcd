"""3D jobs, taken apart by the letter of the glTF specification: closed bodies, within budget, textured as asked."""

import io
import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.unit.media.picture_kit import likeness, source_pixels, write_source

from pixeldojo.media.image import SOFTWARE
from pixeldojo.media.mesh import render_mesh
from pixeldojo.media.orders import MeshOrder, Role

ORDER = MeshOrder(model_id="hunyuan-3d", prompt="a cat", seed=3, face_count=3_000)
TYPES = {5126: ("<f4", 4), 5125: ("<u4", 4)}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


@dataclass(frozen=True)
class ReadModel:
    """A glTF file taken apart by the letter of the specification."""

    document: dict[str, Any]
    binary: bytes

    def view(self, position: int) -> bytes:
        view = self.document["bufferViews"][position]
        return self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def numbers(self, position: int) -> NDArray[Any]:
        accessor = self.document["accessors"][position]
        kind, _ = TYPES[accessor["componentType"]]
        values = np.frombuffer(self.view(accessor["bufferView"]), kind).reshape(-1, WIDTHS[accessor["type"]])
        assert len(values) == accessor["count"]
        return values

    @property
    def primitive(self) -> dict[str, Any]:
        found: dict[str, Any] = self.document["meshes"][0]["primitives"][0]
        return found

    @property
    def positions(self) -> NDArray[Any]:
        return self.numbers(self.primitive["attributes"]["POSITION"])

    @property
    def triangles(self) -> NDArray[Any]:
        return self.numbers(self.primitive["indices"]).reshape(-1, 3)

    def texture(self, position: int) -> Image.Image:
        image = self.document["images"][self.document["textures"][position]["source"]]
        assert image["mimeType"] == "image/jpeg"
        return Image.open(io.BytesIO(self.view(image["bufferView"])))


def read_model(path: Path) -> ReadModel:
    content = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    json_length, json_kind = struct.unpack_from("<I4s", content, 12)
    assert json_kind == b"JSON"
    assert json_length % 4 == 0
    binary_length, binary_kind = struct.unpack_from("<I4s", content, 20 + json_length)
    assert binary_kind == b"BIN\0"
    binary = content[28 + json_length :]
    document = json.loads(content[20 : 20 + json_length])
    assert len(binary) == binary_length == document["buffers"][0]["byteLength"]
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= binary_length
    return ReadModel(document, binary)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source.png", 90, 60)


def orders(source: Path) -> dict[str, MeshOrder]:
    return {
        "figure": ORDER,
        "world": replace(ORDER, prompt="strange"),
        "relief": replace(ORDER, sources={Role.SOURCE_IMAGE: (source,)}),
    }


@pytest.mark.parametrize("shape", ["figure", "world", "relief"])
def test_a_shape_is_a_closed_body_within_its_budget(tmp_path: Path, source: Path, shape: str) -> None:
    model = read_model(render_mesh(orders(source)[shape], tmp_path)[0])
    positions, triangles = model.positions.astype(float), model.triangles
    assert 300 < len(triangles) <= 3_000
    assert triangles.max() < len(positions)
    bounds = model.document["accessors"][model.primitive["attributes"]["POSITION"]]
    assert np.allclose([positions.min(axis=0), positions.max(axis=0)], [bounds["min"], bounds["max"]])
    corners = positions[triangles]
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume > 0, "triangles face outwards"
    assert open_edges(positions, triangles) == 0


def open_edges(positions: NDArray[Any], triangles: NDArray[Any]) -> int:
    """Count the edges, between places and not vertices, that do not join two sides."""
    _, place = np.unique(positions.round(6), axis=0, return_inverse=True)
    joined = place.reshape(-1)[triangles]
    edges = np.concatenate([joined[:, [0, 1]], joined[:, [1, 2]], joined[:, [2, 0]]])
    edges = edges[edges[:, 0] != edges[:, 1]]
    _, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    return int((counts % 2).sum())


def test_normals_and_texture_places_are_sound(tmp_path: Path) -> None:
    model = read_model(render_mesh(ORDER, tmp_path)[0])
    normals = model.numbers(model.primitive["attributes"]["NORMAL"])
    places = model.numbers(model.primitive["attributes"]["TEXCOORD_0"])
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-5)
    assert (places >= 0).all()
    assert (places <= 1).all()


def test_a_relief_wears_its_picture(tmp_path: Path, source: Path) -> None:
    model = read_model(render_mesh(orders(source)["relief"], tmp_path)[0])
    with model.texture(0) as texture:
        assert likeness(np.asarray(texture), source_pixels(90, 60)) > 0.95


def test_geometry_alone_has_no_texture(tmp_path: Path) -> None:
    model = read_model(render_mesh(replace(ORDER, textured=False, with_pbr=True), tmp_path)[0])
    assert "images" not in model.document


def test_pbr_adds_its_maps(tmp_path: Path) -> None:
    plain = read_model(render_mesh(ORDER, tmp_path)[0]).document["materials"][0]
    rich = read_model(render_mesh(replace(ORDER, with_pbr=True), tmp_path)[0])
    material = rich.document["materials"][0]
    assert "normalTexture" not in plain
    assert "metallicRoughnessTexture" not in plain["pbrMetallicRoughness"]
    with rich.texture(material["normalTexture"]["index"]) as normal:
        red, green, blue = np.asarray(normal).reshape(-1, 3).mean(axis=0)
    assert blue > 200 > max(red, green), "a normal map faces outwards on the whole"
    with rich.texture(material["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"]) as rough:
        assert np.asarray(rough)[..., 2].max() < 40, "nothing is metal"


def test_the_file_says_where_it_is_from(tmp_path: Path) -> None:
    asset = read_model(render_mesh(ORDER, tmp_path)[0]).document["asset"]
    assert asset["generator"] == SOFTWARE
    assert asset["extras"] == {"prompt": "a cat", "model": "hunyuan-3d", "seed": 3}


def test_the_same_order_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (render_mesh(ORDER, tmp_path)[0].read_bytes() for _ in range(2))
    other = render_mesh(replace(ORDER, prompt="a dog"), tmp_path)[0].read_bytes()
    assert first == second != other


@pytest.mark.parametrize("shape", ["figure", "world", "relief"])
def test_the_largest_budget_stays_below_a_few_megabytes(tmp_path: Path, source: Path, shape: str) -> None:
    order = replace(orders(source)[shape], face_count=1_500_000, with_pbr=True)
    assert render_mesh(order, tmp_path)[0].stat().st_size < 4_000_000
