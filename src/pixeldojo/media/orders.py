"""What the sandbox's renderers are asked to make: one frozen dataclass for each kind of output.

Owns the words of an order. Leaves reading one from JSON to `order_reader`, deciding what to draw to whoever writes
that JSON, and drawing to `image`, `video`, `audio` and `mesh`. Imports nothing heavy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from pixeldojo.core.json_types import JsonObject


class Role(StrEnum):
    """What an input file is for. Roles in the plural may hold several files, in the caller's order."""

    SOURCE_IMAGE = "source_image"
    MASK = "mask"
    KEPT_MASK = "kept_mask"
    START_IMAGE = "start_image"
    END_IMAGE = "end_image"
    REFERENCE_IMAGES = "reference_images"
    BACKGROUND = "background"
    SOURCE_VIDEO = "source_video"
    REFERENCE_VIDEOS = "reference_videos"
    AUDIO = "audio"
    TRANSCRIPT = "transcript"


Sources: TypeAlias = Mapping[Role, tuple[Path, ...]]


class ImageOperation(StrEnum):
    """What an image order does with its sources.

    GENERATE draws from the prompt (references are shown). EDIT keeps the source recognisable and changes it (only
    where `mask` is white or `kept_mask` is black, if there is one). RESTYLE and RELIGHT change the grading of the whole
    source. UPSCALE resamples to `width` x `height`. REFRAME places the source on a larger canvas: options `left`,
    `top` (pixels from the canvas's corner) and `scale` (0..1; 1 keeps its pixels). Other options: `strength` (RESTYLE,
    0..1), `light_source` (RELIGHT: begins with left, right, top or bottom), `is_transparent` (png and webp: round
    corners let the page show through).
    """

    GENERATE = "generate"
    EDIT = "edit"
    RESTYLE = "restyle"
    RELIGHT = "relight"
    UPSCALE = "upscale"
    REFRAME = "reframe"


class VideoOperation(StrEnum):
    """What a video order does with its sources.

    GENERATE draws from the prompt. FROM_IMAGE starts on `start_image` (first frame) and, where given, ends on
    `end_image`. REFERENCE shows the reference images and videos inside a drawn clip. EXTEND continues
    `source_video`: options `extend_at` (`start` or `end`); `seconds` counts source and extension together; an
    `end_image` is where an extension at the end arrives. EDIT
    regrades `source_video` and shows the references. UPSCALE resamples it. REFRAME changes its canvas: options
    `x_start`, `x_end`, `y_start`, `y_end`, `grid_position_x`, `grid_position_y` where the caller gave them.
    LIP_SYNC lays `audio` under `source_video`: option `sync_mode`. AVATAR moves `start_image` to `audio`, or to
    tones for the option `script`. ANIMATE moves `reference_images[0]` as `source_video` moves. REPLACE puts
    `reference_images[0]` into `source_video`. CAPTION writes the caption over `source_video`: options `text`,
    `position`, `font_size`, `color`, `highlight_color`, `stroke_color`.

    Where `audio` is given and `with_audio` is set, the clip carries that sound.
    """

    GENERATE = "generate"
    FROM_IMAGE = "from_image"
    REFERENCE = "reference"
    EXTEND = "extend"
    EDIT = "edit"
    UPSCALE = "upscale"
    REFRAME = "reframe"
    LIP_SYNC = "lip_sync"
    AVATAR = "avatar"
    ANIMATE = "animate"
    REPLACE = "replace"
    CAPTION = "caption"


class AudioOperation(StrEnum):
    """MUSIC is composed from the prompt; SOUND is made to fit `source_video`."""

    MUSIC = "music"
    SOUND = "sound"


@dataclass(frozen=True, slots=True)
class ImageOrder:
    """One image job.

    Attributes:
        model_id: Our id of the model; part of what decides the picture.
        prompt: As the caller gave it; may be empty.
        seed: Same model, prompt, sources and seed give the same bytes.
        width: Pixels of every output.
        height: Pixels of every output.
        operation: What to do.
        count: How many pictures, each from its own derived seed.
        file_format: `png`, `jpg` or `webp`.
        quality: 0..100 for `jpg` and `webp`.
        sources: Input files by role.
        options: Settings of the operation.
    """

    model_id: str
    prompt: str
    seed: int
    width: int
    height: int
    operation: ImageOperation = ImageOperation.GENERATE
    count: int = 1
    file_format: str = "png"
    quality: int = 90
    sources: Sources = field(default_factory=dict)
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VideoOrder:
    """One video job.

    Attributes:
        model_id: Our id of the model; part of what decides the picture.
        prompt: As the caller gave it; may be empty.
        seed: Same model, prompt, sources and seed give the same bytes.
        width: Pixels, even.
        height: Pixels, even.
        seconds: Length of the finished clip.
        frames_per_second: Of the finished clip.
        with_audio: Whether the clip carries a sound track (the source's where the operation keeps one).
        operation: What to do.
        count: How many clips, each from its own derived seed.
        file_format: `mp4`, `webm` or `mov`.
        sources: Input files by role.
        options: Settings of the operation.
    """

    model_id: str
    prompt: str
    seed: int
    width: int
    height: int
    seconds: float
    frames_per_second: float
    with_audio: bool = False
    operation: VideoOperation = VideoOperation.GENERATE
    count: int = 1
    file_format: str = "mp4"
    sources: Sources = field(default_factory=dict)
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AudioOrder:
    """One music or sound job.

    Attributes:
        model_id: Our id of the model; part of what decides the sound.
        prompt: As the caller gave it; may be empty.
        seed: Same model, prompt, sources and seed give the same bytes.
        seconds: Length of the finished track.
        operation: What to do.
        file_format: `mp3` or `wav`.
        sample_rate: Hertz.
        bit_rate: Bits per second of an `mp3`.
        sources: Input files by role.
        options: Settings: `instrumental` (music without a singing voice).
    """

    model_id: str
    prompt: str
    seed: int
    seconds: float
    operation: AudioOperation = AudioOperation.MUSIC
    file_format: str = "mp3"
    sample_rate: int = 44_100
    bit_rate: int = 128_000
    sources: Sources = field(default_factory=dict)
    options: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeshOrder:
    """One 3D job: a shape from the prompt, or a relief of the source image.

    Attributes:
        model_id: Our id of the model; part of what decides the shape.
        prompt: As the caller gave it; may be empty.
        seed: Same model, prompt, sources and seed give the same bytes.
        face_count: The most triangles wanted.
        textured: Whether the mesh carries a base-colour texture.
        with_pbr: Whether it also carries metallic-roughness and normal maps.
        sources: Input files by role; `source_image` is the picture to make a relief of.
    """

    model_id: str
    prompt: str
    seed: int
    face_count: int = 40_000
    textured: bool = True
    with_pbr: bool = False
    sources: Sources = field(default_factory=dict)


Order: TypeAlias = ImageOrder | VideoOrder | AudioOrder | MeshOrder
