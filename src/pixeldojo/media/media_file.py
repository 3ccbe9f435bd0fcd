"""Opening a caller's audio or video file so that it can do no harm: only plain containers, only this one file.

Owns what is allowed to be opened and how a broken file is reported. Leaves measuring to `probe`, frames to
`video_source` and samples to `sound_source`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from pixeldojo.media.facts import UnreadableMedia

# Playlists and concat scripts are left out: they make a decoder open other files and addresses.
_CONTAINERS = "mov,matroska,webm,avi,mpegts,flv,gif,mp3,wav,w64,aiff,ogg,flac,aac,amr,asf"


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a file for decoding; every way in which decoding it can fail becomes one error.

    Raises:
        UnreadableMedia: if it is not a container we know, is cut short, or breaks while it is read.
    """
    try:
        options = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
        # Titles are written in any encoding, and nobody here reads them.
        with av.open(path, options=options, metadata_errors="replace") as container:
            _refuse_cut_short(container, path)
            yield container
    except av.FFmpegError as error:
        raise UnreadableMedia(
            f"the file cannot be decoded ({error.strerror or 'invalid data'}); "
            "send a whole MP4, MOV, WebM, MP3, WAV, OGG, FLAC or M4A file"
        ) from error


def refuse_unknown_codec(stream: Stream) -> None:
    """Return where a stream can be decoded at all; one of a codec that the library has not is no error to it.

    Raises:
        UnreadableMedia: it cannot.
    """
    if getattr(stream, "codec_context", None) is None:
        raise UnreadableMedia(
            f"its {stream.type} is of a codec that cannot be decoded; send H.264, H.265, VP9 or AV1 pictures, and AAC, "
            "MP3, Opus or PCM sound"
        )


def _refuse_cut_short(container: InputContainer, path: Path) -> None:
    """An MP4 lists where each of its packets lies, so one that was cut short shows before anything is decoded."""
    if "mp4" not in container.format.name:
        return
    end = max((entry.pos + entry.size for stream in container.streams for entry in stream.index_entries), default=0)
    size = path.stat().st_size
    if end > size:
        raise UnreadableMedia(f"the file is cut short: it ends after {size} of at least {end} bytes; send it whole")
