"""The data folder of the embedded set-up: private files, the server's secret, the lock that keeps it to one process."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.secrets import new_server_secret
from pixeldojo.core.settings import Settings

_SHOWN_CHARACTERS = 200
_SECRET_FILE = "secret-key"  # noqa: S105  a file name


def is_embedded(settings: Settings) -> bool:
    """Whether this process is the only one that can be at work on the data."""
    return settings.database_url is None and settings.broker_url is None


def make_data_dir(settings: Settings) -> Path:
    """Return the data folder, made for its owner alone if it was missing.

    Raises:
        ConfigurationError: if it cannot be made, or is none, or not to be written.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise _unusable(folder, "it is a file, not a folder") from None
    except OSError as error:
        raise _unusable(folder, f"it cannot be made ({error.strerror})") from error
    check_data_dir(settings)
    return folder.resolve()


def check_data_dir(settings: Settings) -> None:
    """Return when the data folder can be written, or made; makes nothing.

    Raises:
        ConfigurationError: if it, or what lies above it, is no folder or cannot be written.
    """
    folder = settings.data_dir.resolve()
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
    except OSError as error:
        raise _unusable(folder, str(error.strerror)) from error
    what = "it" if nearest == folder else str(nearest)
    if not nearest.is_dir():
        raise _unusable(folder, f"{what} is a file, not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _unusable(folder, f"{what} cannot be written by this user")


def _unusable(folder: Path, reason: str) -> ConfigurationError:
    shown = str(folder)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"
    return ConfigurationError(
        f"PIXELDOJO_DATA_DIR is {shown}, which cannot be the data folder: {reason}. Set it to a folder that this user "
        "can write."
    )


def make_scratch_dir(settings: Settings) -> Path:
    """Return where files lie while they are worked on; nothing in it outlives the process that made it."""
    folder = make_data_dir(settings) / "scratch"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def read_server_secret(settings: Settings) -> bytes:
    """Return the key that API keys are hashed with; on the embedded set-up, make one on first use.

    Raises:
        ConfigurationError: on a set-up with a database of its own, when PIXELDOJO_SECRET_KEY is missing.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    if settings.database_url is not None:
        raise ConfigurationError(
            "PIXELDOJO_SECRET_KEY is not set. Nodes that share a database must share it: set the same value, at "
            f"least 32 random characters, on each. A fresh one: {new_server_secret()}"
        )
    path = make_data_dir(settings) / _SECRET_FILE
    with suppress(FileExistsError):
        write_private_file(path, new_server_secret())
    return path.read_text().strip().encode()


def write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and that must not exist yet.

    Raises:
        FileExistsError: if it exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


def lock_data_dir(settings: Settings) -> TextIO:
    """Take the data folder for this process until the file is closed or the process ends.

    Raises:
        ConfigurationError: if another process has it.
    """
    file = (make_data_dir(settings) / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigurationError(
            f"Another PixelDojo is running on {settings.data_dir.resolve()}. Stop it, or set PIXELDOJO_DATA_DIR to "
            "another folder."
        ) from None
    return file
