"""The files that emulators give as outputs: small, and real media of each kind.

Made once, when first asked for. Nothing here is the sandbox's: an emulator plays somebody else's service.
"""

import io
import json
import struct
import wave
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Final

import av
import numpy as np
from PIL import Image

SECONDS: Final = 2
SIDE: Final = 64


class Samples:
    """One file of each kind, by the catalog's word for it."""

    @cached_property
    def image(self) -> bytes:
        """A PNG of 64 x 64."""
        file = io.BytesIO()
        Image.new("RGB", (SIDE, SIDE), (200, 90, 30)).save(file, "PNG")
        return file.getvalue()

    @cached_property
    def large_image(self) -> bytes:
        """A PNG of more than 256 KB."""
        file = io.BytesIO()
        noise = np.random.default_rng(1).integers(0, 256, (320, 320, 3), np.uint8)
        Image.fromarray(noise).save(file, "PNG")
        return file.getvalue()

    @cached_property
    def video(self) -> bytes:
        """An MP4 of `SECONDS`, without sound."""
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=8)
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuv420p"
            for number in range(8 * SECONDS):
                pixels = np.full((SIDE, SIDE, 3), number * 12, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        return file.getvalue()

    @cached_property
    def audio(self) -> bytes:
        """A WAV of `SECONDS`."""
        file = io.BytesIO()
        with wave.open(file, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(8_000)
            sound.writeframes(bytes(2 * 8_000 * SECONDS))
        return file.getvalue()

    @cached_property
    def model3d(self) -> bytes:
        """A binary glTF with one triangle."""
        corners = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
        document = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
            "accessors": [
                {
                    "bufferView": 0,
                    "componentType": 5126,
                    "count": 3,
                    "type": "VEC3",
                    "min": [0, 0, 0],
                    "max": [1, 1, 0],
                }
            ],
            "bufferViews": [{"buffer": 0, "byteLength": len(corners)}],
            "buffers": [{"byteLength": len(corners)}],
        }
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(corners), b"BIN\0") + corners
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def of(self, kind: str) -> bytes:
        """Return the file of a kind."""
        makers: Mapping[str, Callable[[], bytes]] = {
            "image": lambda: self.image,
            "video": lambda: self.video,
            "audio": lambda: self.audio,
            "model3d": lambda: self.model3d,
        }
        return makers[kind]()


CONTENT_TYPES: Final[Mapping[str, str]] = {
    "image": "image/png",
    "video": "video/mp4",
    "audio": "audio/wav",
    "model3d": "model/gltf-binary",
}
EXTENSIONS: Final[Mapping[str, str]] = {"image": "png", "video": "mp4", "audio": "wav", "model3d": "glb"}
