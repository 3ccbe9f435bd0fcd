"""The catalog as it was when it was last found sound, so that a start need not check 132 files again.

Owns one file, its key and its trust. Leaves what stands in it, and checking what is not in it, to `load`.

The file holds the models' tables as JSON, families merged in, behind a line with two digests. The first is the key:
of every file of the catalog and of the code that reads and checks it, by content, so that whatever is edited or
upgraded is checked again. The second is of the tables, so that half a file is no file. A file that somebody else
could have written is none either. Whatever keeps it from being read or written costs time and nothing else.
"""

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pydantic

from pixeldojo.core import json_types
from pixeldojo.core.json_types import JsonObject

_MOST_BYTES = 64 * 1024**2
CODE_FOLDERS = (Path(__file__).parent, Path(json_types.__file__).parent)


class CompiledFile:
    """The compiled form of some sources. Several processes may read and write it at once."""

    def __init__(self, path: Path, sources: Mapping[str, bytes], code_folders: Sequence[Path] = CODE_FOLDERS) -> None:
        """Compute the key of the sources.

        Args:
            path: Where the file is or will be, in a folder that exists.
            sources: Content of the catalog's files by name.
            code_folders: Whose modules decide what the sources mean.
        """
        self._path = path
        self._key = _key(sources, code_folders)

    def read(self) -> bytes | None:
        """Return the tables as `write` got them, as JSON; None where there are none of these sources."""
        try:
            with self._path.open("rb") as file:
                if not _is_ours_alone(os.fstat(file.fileno())):
                    return None
                content = file.read(_MOST_BYTES)
        except OSError:
            return None
        head, _, body = content.partition(b"\n")
        return body if head == self._head(body) else None

    def write(self, tables: JsonObject) -> None:
        """Keep the tables for the next start: the whole file or none of it."""
        body = json.dumps(tables, separators=(",", ":")).encode()
        with suppress(OSError):
            descriptor, unfinished = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(self._head(body) + b"\n" + body)
                Path(unfinished).replace(self._path)
            except OSError:
                Path(unfinished).unlink()
                raise

    def _head(self, body: bytes) -> bytes:
        return f"{self._key} {hashlib.sha256(body).hexdigest()}".encode()


def _key(sources: Mapping[str, bytes], code_folders: Sequence[Path]) -> str:
    code = {str(path): path.read_bytes() for folder in code_folders for path in sorted(folder.glob("*.py"))}
    digest = hashlib.sha256(pydantic.VERSION.encode())
    for name, content in (*code.items(), *sources.items()):
        digest.update(f"\n{name} {len(content)}\n".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return digest.hexdigest()


def _is_ours_alone(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
