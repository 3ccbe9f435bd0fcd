"""Where tests put files that nobody keeps: in memory where the system has room for it, since copying a database costs
ten times as much on a busy disk.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 2 * 1024**3


def new_scratch_folder(prefix: str) -> Path:
    """Return a new folder of this user's own; whoever asks for it removes it."""
    is_roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_SHARED_MEMORY if is_roomy else None))
