"""From a call to an order: what the renderers have to make so that the sandbox does what the model would.

Pure. Sizes, lengths and formats are `core.output_facts`; this file owns which operation serves a task, which input
file plays which part, and which settings matter to a drawing. The order is plain JSON whose words are those of
`media.orders`, which this layer may not import: a test there reads an order of every model.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.output_facts import OutputFacts
from pixeldojo.providers.contract import Call, InputFile
from pixeldojo.providers.sandbox.rehearsal import strip_rehearsal

_MOST_IMAGE_PIXELS = 64_000_000
_LARGEST_WEBP_SIDE = 16_383
_MOST_SECONDS = 600.0
_DEFAULT_QUALITY = 90
_SEED_BITS = 63

# Video models whose task is "video-edit" do one of several things; their ids say which.
_EDITS_BY_WORD = (
    ("caption", "caption"),
    ("reframe", "reframe"),
    ("replace", "replace"),
    ("swap", "replace"),
    ("motion", "animate"),
    ("animate", "animate"),
)
_VIDEO_OPERATIONS = {
    "upscale": "upscale",
    "video-extend": "extend",
    "lip-sync": "lip_sync",
    "avatar": "avatar",
    "video-edit": "edit",
    "video-to-video": "animate",
    "reference-to-video": "reference",
}
# Inputs that a renderer reads under their own name.
_VIDEO_OPTIONS = (
    "sync_mode",
    "script",
    "position",
    "font_size",
    "color",
    "highlight_color",
    "stroke_color",
    "stroke_width",
    "max_chars",
    "camera_fixed",
    "voice",
    "x_start",
    "x_end",
    "y_start",
    "y_end",
    "grid_position_x",
    "grid_position_y",
)
_IMAGE_OPTIONS = ("strength", "light_source")

Sources = dict[str, list[int]]


class CannotDraw(ValueError):
    """The sandbox will never take this input; the message says what it would take."""


def plan_order(call: Call) -> JsonObject:
    """Return the order for a call; its sources are positions in `call.files`.

    Raises:
        CannotDraw: if the result would be larger than the sandbox makes.
    """
    facts = OutputFacts.from_json(call.output)
    sources = _sources(facts, call.files)
    common: JsonObject = {
        "kind": facts.kind,
        "model_id": call.model_id,
        "prompt": strip_rehearsal(read_prompt_text(call.input)),
        "seed": seed_of(call),
    }
    match facts.kind:
        case "image":
            return {**common, **_image(call, facts, sources)}
        case "video":
            return {**common, **_video(call, facts, sources)}
        case "audio":
            return {**common, **_audio(call, facts, sources)}
        case "model3d":
            return {**common, **_mesh(call, facts, sources)}


def read_prompt_text(given: JsonObject) -> str:
    """Return the text that says what to make: the prompt, or what stands in for it."""
    for name in ("prompt", "script", "text"):
        value = given.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def seed_of(call: Call) -> int:
    """Return the caller's seed, or one made from the input: the same input draws the same picture."""
    seed = call.input.get("seed")
    if isinstance(seed, int) and not isinstance(seed, bool):
        return seed
    written = json.dumps([call.model_id, call.input], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(written.encode(), digest_size=8).digest(), "big") >> (64 - _SEED_BITS)


def _sources(facts: OutputFacts, files: Sequence[InputFile]) -> Sources:
    """Return the positions of the input files by role."""
    sources: Sources = {}
    for position, file in enumerate(files):
        role = facts.roles.get(file.parameter) or {"video": "source_video", "audio": "audio"}.get(file.kind)
        sources.setdefault(role or "source_image", []).append(position)
    return sources


def _image(call: Call, facts: OutputFacts, sources: Sources) -> JsonObject:
    width, height = facts.pixels(call.input, call.files)
    encoding = facts.encoding(call.input)
    _refuse_large_image(width, height, encoding.format)
    if call.task in {"image-edit", "upscale"}:
        sources = _first_is_source(sources)
    sources = _one_source(sources)
    operation = _image_operation(call, facts, sources)
    return {
        "width": width,
        "height": height,
        "operation": operation,
        "count": facts.count(call.input),
        "file_format": encoding.format,
        "quality": _quality(call.input, facts),
        "sources": {role: list(positions) for role, positions in sources.items() if positions},
        "options": _image_options(call, facts, operation, sources),
    }


def _image_operation(call: Call, facts: OutputFacts, sources: Sources) -> str:
    if "source_image" not in sources:
        return "generate"
    if call.task == "upscale":
        return "upscale"
    if facts.size is not None and facts.size.canvas is not None:
        return "reframe"
    if "relight" in call.model_id:
        return "relight"
    is_masked = not {"mask", "kept_mask"}.isdisjoint(sources)
    return "restyle" if "strength" in call.input and not is_masked else "edit"


def _image_options(call: Call, facts: OutputFacts, operation: str, sources: Sources) -> JsonObject:
    options = _named(call.input, _IMAGE_OPTIONS)
    if call.input.get("background") == "transparent":
        options["is_transparent"] = True
    if operation == "reframe" and facts.size is not None and facts.size.canvas is not None:
        source = call.files[sources["source_image"][0]]
        canvas = facts.size.canvas
        zoom = _number(call.input, canvas.zoom_out) / 100
        # Zoomed out, the source stands in the middle of the place it would fill.
        options["left"] = round(_number(call.input, canvas.left) + zoom / 2 * (source.width or 0))
        options["top"] = round(_number(call.input, canvas.top) + zoom / 2 * (source.height or 0))
        options["scale"] = 1 - zoom
    return options


def _refuse_large_image(width: int, height: int, file_format: str) -> None:
    if width * height > _MOST_IMAGE_PIXELS:
        raise CannotDraw(
            f"The result would have {width}x{height} pixels. The sandbox makes images of at most "
            f"{_MOST_IMAGE_PIXELS // 1_000_000} megapixels; use a smaller size, factor or source."
        )
    if file_format == "webp" and max(width, height) > _LARGEST_WEBP_SIDE:
        raise CannotDraw(
            f"The result would have {width}x{height} pixels, and a WebP image can be at most {_LARGEST_WEBP_SIDE} "
            "pixels wide or high; use output_format png or jpg."
        )


def _video(call: Call, facts: OutputFacts, sources: Sources) -> JsonObject:
    width, height = facts.pixels(call.input, call.files)
    operation = _video_operation(call, sources)
    return {
        "width": max(2, width - width % 2),
        "height": max(2, height - height % 2),
        "seconds": _seconds(call, facts),
        "frames_per_second": facts.frames_per_second(call.input, call.files),
        "with_audio": facts.has_sound(call.input, call.files),
        "operation": operation,
        "count": facts.count(call.input),
        "file_format": facts.encoding(call.input).format,
        "sources": _video_sources(operation, sources),
        "options": _video_options(call, operation),
    }


def _video_operation(call: Call, sources: Sources) -> str:
    operation = _VIDEO_OPERATIONS.get(call.task)
    if operation in {"edit", "animate"}:
        by_name = next((edit for word, edit in _EDITS_BY_WORD if word in call.model_id), operation)
        needs_picture = by_name in {"replace", "animate"}
        return "edit" if needs_picture and not _pictures(sources) else by_name
    if operation is not None and operation != "reference":
        return operation
    if "start_image" in sources or "source_image" in sources:
        return "from_image"
    if "source_video" in sources:
        # A video given to a model that makes new ones is carried on, or is a reference among others.
        return "reference" if operation == "reference" else "extend"
    if "end_image" in sources:
        return "from_image"
    return "reference" if {"reference_images", "reference_videos"} & sources.keys() else "generate"


def _video_sources(operation: str, sources: Sources) -> Sources:
    """Give the roles the names that the operation reads."""
    renamed = {role: list(positions) for role, positions in sources.items()}
    if operation in {"replace", "animate"}:
        renamed["reference_images"] = _pictures(sources)
        for role in ("source_image", "start_image"):
            renamed.pop(role, None)
    elif operation in {"from_image", "avatar"}:
        portrait = _pictures(sources)
        if "start_image" not in renamed and portrait and (operation == "avatar" or "source_image" in renamed):
            renamed["start_image"] = portrait[:1]
        renamed.pop("source_image", None)
    elif operation == "reference" and "source_video" in renamed:
        renamed["reference_videos"] = [*renamed.pop("source_video"), *renamed.get("reference_videos", [])]
    return renamed


def _video_options(call: Call, operation: str) -> JsonObject:
    options = _named(call.input, _VIDEO_OPTIONS)
    if operation == "extend":
        options["extend_at"] = "start" if call.input.get("mode") == "start" else "end"
    if operation == "edit" and (call.input.get("generate_audio") is True or call.input.get("audio_setting") == "auto"):
        options["sound"] = "new"
    if operation == "caption":
        options["text"] = read_prompt_text(call.input)
    return options


def _audio(call: Call, facts: OutputFacts, sources: Sources) -> JsonObject:
    encoding = facts.encoding(call.input)
    return {
        "seconds": _seconds(call, facts),
        "operation": "sound" if "source_video" in sources else "music",
        "file_format": encoding.format,
        "sample_rate": encoding.sample_rate or 44_100,
        "bit_rate": encoding.bit_rate or 128_000,
        "sources": {role: list(positions) for role, positions in sources.items()},
        "options": {"instrumental": call.input.get("force_instrumental") is not False},
    }


def _mesh(call: Call, facts: OutputFacts, sources: Sources) -> JsonObject:
    pictures = _pictures(sources)
    return {
        "face_count": int(_number(call.input, facts.faces_parameter)) or 40_000,
        "textured": call.input.get("generate_type") != "Geometry",
        "with_pbr": call.input.get("enable_pbr") is True,
        "sources": {"source_image": pictures[:1]} if pictures else {},
    }


def _seconds(call: Call, facts: OutputFacts) -> float:
    seconds = facts.seconds(call.input, call.files)
    if seconds > _MOST_SECONDS:
        raise CannotDraw(
            f"The result would last {seconds:.0f} seconds. The sandbox makes at most {_MOST_SECONDS:.0f}; "
            "use a shorter source or duration."
        )
    return seconds


def _first_is_source(sources: Sources) -> Sources:
    """Where a model takes one list of pictures, the first is the one to work on and the rest are references."""
    references = sources.get("reference_images", [])
    if "source_image" in sources or not references:
        return sources
    return {**sources, "source_image": references[:1], "reference_images": references[1:]}


def _one_source(sources: Sources) -> Sources:
    """An edit works on one picture; further ones in the same list are shown beside it."""
    pictures = sources.get("source_image", [])
    if len(pictures) < 2:
        return sources
    return {
        **sources,
        "source_image": pictures[:1],
        "reference_images": [*pictures[1:], *sources.get("reference_images", [])],
    }


def _pictures(sources: Sources) -> list[int]:
    return [at for role in ("start_image", "source_image", "reference_images") for at in sources.get(role, [])]


def _quality(given: JsonObject, facts: OutputFacts) -> int:
    value = given.get(facts.quality_parameter) if facts.quality_parameter else None
    return int(value) if isinstance(value, int | float) else _DEFAULT_QUALITY


def _named(given: JsonObject, names: Sequence[str]) -> dict[str, JsonValue]:
    return {name: given[name] for name in names if given.get(name) is not None}


def _number(given: Mapping[str, JsonValue], parameter: str | None) -> float:
    value = given.get(parameter) if parameter else None
    return float(value) if isinstance(value, int | float) else 0.0
