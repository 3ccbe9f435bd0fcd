"""Measuring a media file by its content, in a process of the media pool and never in the server's own.

The work is `measure`'s, which needs the media libraries; this module may be imported anywhere.
"""

from pathlib import Path

from pixeldojo.media.facts import MediaFacts


def probe_media(path: Path) -> MediaFacts:
    """Measure a file: an image is decoded whole, of a video the first frame, and every packet is counted.

    Raises:
        UnreadableMedia: if it is broken, cut short, too large to decode, or not media we know.
    """
    from pixeldojo.media.measure import measure_file  # noqa: PLC0415 (the module says why)

    return measure_file(path)


def probe_output(path: Path) -> MediaFacts:
    """Measure a file of an upstream: as `probe_media`, but an image that is whole by its structure is not decoded.

    Raises:
        UnreadableMedia: if it is broken, cut short, too large to decode, or not media we know.
    """
    from pixeldojo.media.measure import measure_file  # noqa: PLC0415 (the module says why)

    return measure_file(path, decodes=False)
