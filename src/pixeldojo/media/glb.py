"""Writing a binary glTF 2.0 file: one mesh, one material, textures inside.

Owns the file layout. Leaves shapes and textures to `mesh`. The specification is Khronos glTF 2.0, sections 3 and 4.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = 0x46546C67
_VERSION = 2
_JSON_CHUNK = 0x4E4F534A
_BINARY_CHUNK = 0x004E4942
_FLOAT, _UNSIGNED_INT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _LINEAR_MIPMAP, _CLAMP = 9729, 9987, 33071


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface of triangles, counter-clockwise seen from outside, in metres, `y` up.

    Attributes:
        positions: Shape (vertices, 3), float32.
        normals: Shape (vertices, 3), float32, of length one.
        places: Where each vertex lies in the textures, shape (vertices, 2), 0..1 from the top left, float32.
        triangles: Shape (triangles, 3), uint32.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    places: NDArray[np.float32]
    triangles: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Material:
    """How the surface looks: PNG or JPEG bytes for each map; a map left out is left out of the file.

    Attributes:
        base_colour: The colours.
        metallic_roughness: Green is roughness, blue is metalness.
        normal: Bumps, as colours.
    """

    base_colour: bytes | None = None
    metallic_roughness: bytes | None = None
    normal: bytes | None = None


@dataclass(slots=True)
class _Binary:
    """The binary chunk under construction, with its views; each view starts on a multiple of four."""

    content: bytearray = field(default_factory=bytearray)
    views: list[dict[str, int]] = field(default_factory=list)

    def add(self, piece: bytes, target: int | None = None) -> int:
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": len(piece)}
        if target is not None:
            view["target"] = target
        self.content += piece + b"\0" * (-len(piece) % 4)
        self.views.append(view)
        return len(self.views) - 1


def write_glb(path: Path, mesh: Mesh, material: Material, *, generator: str, extras: Mapping[str, str | int]) -> None:
    """Write the file; `extras` are facts kept in it for people and programs."""
    binary = _Binary()
    accessors = [
        _floats(binary, mesh.positions, "VEC3", with_bounds=True),
        _floats(binary, mesh.normals, "VEC3"),
        _floats(binary, mesh.places, "VEC2"),
        {
            "bufferView": binary.add(mesh.triangles.astype("<u4").tobytes(), _INDICES),
            "componentType": _UNSIGNED_INT,
            "count": int(mesh.triangles.size),
            "type": "SCALAR",
        },
    ]
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    document: dict[str, Any] = {  # Any: a glTF document is JSON of many shapes
        "asset": {"version": "2.0", "generator": generator, "extras": dict(extras)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "sandbox"}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 3, "material": 0, "mode": 4}]}],
        "accessors": accessors,
        **_surface(binary, material),
    }
    document["bufferViews"] = binary.views
    document["buffers"] = [{"byteLength": len(binary.content)}]
    _write_chunks(path, json.dumps(document, separators=(",", ":")).encode(), bytes(binary.content))


def _floats(binary: _Binary, values: NDArray[np.float32], kind: str, *, with_bounds: bool = False) -> dict[str, Any]:
    accessor: dict[str, Any] = {
        "bufferView": binary.add(values.astype("<f4").tobytes(), _VERTICES),
        "componentType": _FLOAT,
        "count": len(values),
        "type": kind,
    }
    if with_bounds:
        accessor["min"] = values.min(axis=0).astype(float).tolist()
        accessor["max"] = values.max(axis=0).astype(float).tolist()
    return accessor


def _surface(binary: _Binary, material: Material) -> dict[str, Any]:
    """Return the material with its textures and images."""
    images: list[dict[str, Any]] = []

    def texture(content: bytes) -> dict[str, int]:
        kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
        images.append({"bufferView": binary.add(content), "mimeType": kind})
        return {"index": len(images) - 1}

    look: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.85}
    surface: dict[str, Any] = {"name": "sandbox", "pbrMetallicRoughness": look}
    if material.base_colour is not None:
        look["baseColorTexture"] = texture(material.base_colour)
    if material.metallic_roughness is not None:
        look |= {"metallicRoughnessTexture": texture(material.metallic_roughness)}
        look |= {"metallicFactor": 1.0, "roughnessFactor": 1.0}
    if material.normal is not None:
        surface["normalTexture"] = texture(material.normal)
    if not images:
        return {"materials": [surface]}
    sampler = {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP, "wrapS": _CLAMP, "wrapT": _CLAMP}
    textures = [{"sampler": 0, "source": position} for position in range(len(images))]
    return {"materials": [surface], "textures": textures, "images": images, "samplers": [sampler]}


def _write_chunks(path: Path, document: bytes, binary: bytes) -> None:
    document += b" " * (-len(document) % 4)
    total = 12 + 8 + len(document) + 8 + len(binary)
    with path.open("wb") as file:
        file.write(struct.pack("<III", _MAGIC, _VERSION, total))
        file.write(struct.pack("<II", len(document), _JSON_CHUNK) + document)
        file.write(struct.pack("<II", len(binary), _BINARY_CHUNK) + binary)
