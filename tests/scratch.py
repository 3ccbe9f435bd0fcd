"""Where tests put files that nobody keeps: in memory where the system has room for it, since copying a database costs
ten times as much on a busy disk.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

_SHARED_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 2 * 1024**3
_NAME: Final = "pixeldojo-tests-{pid}-"
_OURS: Final = re.compile(r"pixeldojo-tests-(\d+)-.+")


def new_scratch_folder(*, is_for_programs: bool = False) -> Path:
    """Return a new folder of this process's own; whoever asks for it removes it.

    Programs go to the disk: many systems do not execute what lies in shared memory.
    """
    is_roomy = _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM_BYTES
    place = _SHARED_MEMORY if is_roomy and not is_for_programs else Path(tempfile.gettempdir())
    for name in (found.name for found in place.iterdir()):
        left = _OURS.fullmatch(name)
        if left and not _is_running(int(left[1])):
            # Tests that were killed could not tidy up.
            shutil.rmtree(place / name, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=_NAME.format(pid=os.getpid()), dir=place))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
