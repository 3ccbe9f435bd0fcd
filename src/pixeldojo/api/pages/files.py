"""The files that pages refer to: their style, the samples of their examples, and the reference's program.

Owns where they lie, what they are, and the stamp in their addresses. Swagger UI comes with the package fastapi-offline,
so that no page loads anything from elsewhere.
"""

import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pixeldojo.api.published import Published

_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".jpg": "image/jpeg",
        ".mp4": "video/mp4",
        ".mp3": "audio/mpeg",
    }
)
_OWN: Final = ("frame.css", "style.css", "reference.css", "reference.js", "picture.jpg", "clip.mp4", "speech.mp3")
_SWAGGER_UI: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
_STAMP_CHARACTERS: Final = 12


class PageFiles:
    """Every file by its name, and nothing that lies beside them."""

    def __init__(self) -> None:
        own = Path(str(resources.files("pixeldojo.api.pages"))) / "files"
        swagger_ui = Path(str(resources.files("fastapi_offline"))) / "static"
        self._paths = {name: own / name for name in _OWN} | {name: swagger_ui / name for name in _SWAGGER_UI}
        self._published = {name: Published(_TYPES[path.suffix], path.read_bytes) for name, path in self._paths.items()}

    def find(self, name: str) -> Published | None:
        """Return the file of that name."""
        return self._published.get(name)

    def stamps(self) -> dict[str, str]:
        """Return, for each text, a word that changes with it: a browser that has an old one asks for the new one."""
        texts = {name: path for name, path in self._paths.items() if path.suffix in {".css", ".js"}}
        return {name: hashlib.sha256(path.read_bytes()).hexdigest()[:_STAMP_CHARACTERS] for name, path in texts.items()}
