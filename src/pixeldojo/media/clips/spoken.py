"""Clips in which somebody speaks: the caller's sound under the caller's video, or under a portrait.

Owns LIP_SYNC and AVATAR. Leaves decoding to the sources and tones for a written script to `speech`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pixeldojo.media import planes
from pixeldojo.media.canvas import Canvas
from pixeldojo.media.clips.job import ClipJob, Shot, never
from pixeldojo.media.clips.pictures import Still, frame_of, load_picture
from pixeldojo.media.encode import SOUND_RATE
from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.orders import Role
from pixeldojo.media.sound_source import Block, curve_of, decode_audio, loudness_curve, sound_seconds
from pixeldojo.media.speech import speech_like
from pixeldojo.media.sprite import Sprite, card
from pixeldojo.media.video_source import VideoSource, open_video

_BARS = 21
_METER_SHARE = 0.4
_BRIGHT = 225
_NOD = 0.05
_SWAY_SECONDS = 3.7
_CURVE_RATE = 8_000


def lip_sync(job: ClipJob) -> Shot:
    """Lay the caller's sound under the caller's video and show its level.

    Option `sync_mode` says what a video shorter than the clip does: `loop` starts again, `bounce` plays back and
    forth, `remap` is slowed or hurried to end with the sound, and `cut_off` and `silence` hold the last frame.
    """
    source, audio = job.video(), job.file(Role.AUDIO)
    levels = loudness_curve(audio, float(job.frames_per_second), job.count)
    return Shot(_watched(job, _seen(job, source, audio), levels), decode_audio(audio, SOUND_RATE), never)


def avatar(job: ClipJob) -> Shot:
    """Let the portrait nod to the caller's sound, or to tones shaped like the option `script`."""
    files = job.files(Role.AUDIO)
    rate = float(job.frames_per_second)
    if files:
        levels = loudness_curve(files[0], rate, job.count)
        sound = decode_audio(files[0], SOUND_RATE)
    else:
        levels = curve_of(_speech(job, _CURVE_RATE), _CURVE_RATE, rate, job.count)
        sound = _speech(job, SOUND_RATE)
    return Shot(_watched(job, _portrait(job, levels), levels), sound, never)


def _speech(job: ClipJob, sample_rate: int) -> Iterator[Block]:
    script = job.text("script", job.order.prompt)
    return speech_like(script, job.text("voice", ""), round(job.seconds * sample_rate), sample_rate)


def _seen(job: ClipJob, source: VideoSource, audio: Path) -> Iterator[VideoFrame]:
    length = max(source.seconds, 1 / float(source.frames_per_second))
    mode = job.text("sync_mode", "loop")
    if mode == "bounce":
        return map(job.canvas.whole, _back_and_forth(source, job.moments, length))
    if mode == "remap":
        pace = length / max(0.04, min(job.seconds, sound_seconds(audio)))
        moments = [moment * pace for moment in job.moments]
    elif mode in ("cut_off", "silence"):
        moments = job.moments
    else:
        moments = [moment % length for moment in job.moments]
    return map(job.canvas.whole, source.walk(moments))


def _back_and_forth(source: VideoSource, moments: list[float], length: float) -> Iterator[VideoFrame]:
    passes = [int(moment / length) for moment in moments]
    for number in range(passes[-1] + 1):
        own = [moment - number * length for moment, each in zip(moments, passes, strict=True) if each == number]
        if number % 2:
            yield from source.walk_back([length - moment for moment in own])
        else:
            yield from source.walk(own)


def _portrait(job: ClipJob, levels: NDArray[np.float32]) -> Iterator[VideoFrame]:
    picture = load_picture(job.file(Role.START_IMAGE))
    grounds = job.files(Role.BACKGROUND)
    smooth = np.convolve(levels, np.full(3, 1 / 3), mode="same")[: job.count]
    if grounds:
        return _before_ground(job, picture, _ground(grounds[0], job.canvas), smooth)
    return _close(job, Still(frame_of(picture), job.canvas), smooth)


def _close(job: ClipJob, portrait: Still, levels: NDArray[np.floating]) -> Iterator[VideoFrame]:
    for number, moment in enumerate(job.moments):
        sway = np.sin(2 * np.pi * moment / _SWAY_SECONDS)
        if number == 0:
            yield portrait.at_rest()
        else:
            settling = min(1.0, moment / 0.4)
            zoom = 1 + (0.03 + _NOD * float(levels[number])) * settling
            yield portrait.close_up(zoom, float(sway) * 0.6, float(levels[number]) * 0.8 - 0.4)


def _before_ground(
    job: ClipJob, picture: Image.Image, ground: VideoFrame, levels: NDArray[np.floating]
) -> Iterator[VideoFrame]:
    canvas = job.canvas
    room = (max(2, round(canvas.width * 0.7)), max(2, round(canvas.height * 0.78)))
    person: Sprite = card(ImageOps.contain(picture, room))
    for number, moment in enumerate(job.moments):
        frame = planes.copy_frame(ground)
        left = (canvas.width - person.width) / 2 + canvas.width * 0.01 * float(
            np.sin(2 * np.pi * moment / _SWAY_SECONDS)
        )
        top = (canvas.height - person.height) / 2 - canvas.height * 0.03 * float(levels[number])
        person.lay(frame, left, top)
        yield frame


def _ground(path: Path, canvas: Canvas) -> VideoFrame:
    """A picture, or the first frame of a video."""
    try:
        return canvas.cover(frame_of(load_picture(path)))
    except UnreadableMedia:
        return canvas.cover(open_video(path).first())


def _watched(job: ClipJob, frames: Iterator[VideoFrame], levels: NDArray[np.float32]) -> Iterator[VideoFrame]:
    """Show the level of the sound, now in the middle and what was at both sides, as small bars at the foot."""
    canvas = job.canvas
    step = max(2, round(canvas.width * _METER_SHARE / _BARS / 2) * 2)
    tallest = max(4, canvas.height // 14)
    left = max(0, (canvas.width - step * _BARS) // 4 * 2)
    foot = canvas.height - max(4, canvas.height // 24)
    for number, frame in enumerate(frames):
        y, u, v = planes.planes_of(frame)
        for bar in range(_BARS):
            ago = abs(bar - _BARS // 2) * 2
            level = float(levels[number - ago]) if number >= ago else 0.0
            tall = max(2, round(tallest * level * (1 - ago / (_BARS * 1.5))))
            start, end = left + bar * step, left + bar * step + max(2, step * 2 // 3)
            top, bottom = foot - tallest // 2 - tall // 2, foot - tallest // 2 + (tall + 1) // 2
            y[top:bottom, start:end] = _BRIGHT
            u[top // 2 : (bottom + 1) // 2, start // 2 : end // 2] = planes.NO_COLOUR
            v[top // 2 : (bottom + 1) // 2, start // 2 : end // 2] = planes.NO_COLOUR
        yield frame
