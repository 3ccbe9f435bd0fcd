"""From an order in JSON to files: the one function the sandbox runs in a media process.

Owns the dispatch by kind. Leaves drawing to `image`, `video`, `audio` and `mesh`, which are loaded when first needed
and only in the process that draws: this module itself may be imported anywhere.
"""

from collections.abc import Sequence
from pathlib import Path

from pixeldojo.core.json_types import JsonObject
from pixeldojo.media.order_reader import parse_order
from pixeldojo.media.orders import AudioOrder, ImageOrder, MeshOrder, VideoOrder


def render(order: JsonObject, input_paths: Sequence[str], folder: str) -> list[str]:
    """Draw what the order asks for into `folder`, under names that no other call uses, and return the files' paths.

    An order with `cut_short` true gives files that break off in the middle, to rehearse a broken transfer.

    Raises:
        ValueError: if the order is wrong.
        UnreadableMedia: if an input cannot be decoded.
        OSError: if the folder cannot be written.
    """
    parsed = parse_order(order, [Path(path) for path in input_paths])
    target = Path(folder)
    match parsed:
        case ImageOrder():
            from pixeldojo.media.image import render_image  # noqa: PLC0415 (the module says why)

            paths = render_image(parsed, target)
        case VideoOrder():
            from pixeldojo.media.video import render_video  # noqa: PLC0415 (as above)

            paths = render_video(parsed, target)
        case AudioOrder():
            from pixeldojo.media.audio import render_music  # noqa: PLC0415 (as above)

            paths = render_music(parsed, target)
        case MeshOrder():
            from pixeldojo.media.mesh import render_mesh  # noqa: PLC0415 (as above)

            paths = render_mesh(parsed, target)
    if order.get("cut_short") is True:
        _cut_short(paths)
    return [str(path) for path in paths]


def _cut_short(paths: Sequence[Path]) -> None:
    for path in paths:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)


def load_libraries() -> None:
    """Load what drawing needs, so that a process's first order need not wait for it (see `MediaPool.warm_up`)."""
    from pixeldojo.media import image, video  # noqa: F401, PLC0415 (loading is the purpose)
