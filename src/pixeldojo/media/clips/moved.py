"""Clips that begin with the caller's picture, and clips that go on from the caller's video.

Owns FROM_IMAGE and EXTEND. Leaves camera moves to `pictures` and the scene's light to `drawn`.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from av import VideoFrame

from pixeldojo.media import planes
from pixeldojo.media.clips.drawn import Backdrop, Wash
from pixeldojo.media.clips.job import ClipJob, Shot, eased, in_the_middle, never
from pixeldojo.media.clips.pictures import Camera, Still, frame_of, load_picture, read_camera
from pixeldojo.media.clips.tracks import composed, joined, kept_sound, new_sound
from pixeldojo.media.encode import SOUND_RATE
from pixeldojo.media.orders import Role
from pixeldojo.media.sound_source import Block
from pixeldojo.media.video_source import VideoSource

_WASH_SHARE = 0.2
_TURN_STARTS, _TURN_LASTS = 0.3, 0.4
_SCENE_STARTS, _SCENE_LASTS = 0.2, 0.5


def start_from_image(job: ClipJob) -> Shot:
    """Begin with the start image, as it is, and move over it in the scene's light; end on the end image, if given.

    With an end image alone, the clip leads from the scene to it.
    """
    if job.files(Role.END_IMAGE) and not job.files(Role.START_IMAGE):
        return Shot(_arrived_at(job, job.file(Role.END_IMAGE)), new_sound(job), in_the_middle)
    start = Still(frame_of(load_picture(job.file(Role.START_IMAGE))), job.canvas)
    ends = job.files(Role.END_IMAGE)
    end = Still(frame_of(load_picture(ends[0])), job.canvas) if ends else None
    is_fixed = job.order.options.get("camera_fixed") is True
    camera = Camera(0.0, 0.0, 0.0) if is_fixed else read_camera(job.order.prompt, job.seed)
    return Shot(_travel(job, start, end, camera, _all_of(job)), new_sound(job), in_the_middle)


def extend(job: ClipJob) -> Shot:
    """Play the whole source video and go on from its last frame, or lead up to its first (option `extend_at`).

    Going on, it arrives at the end image if there is one.
    """
    source = job.video()
    own = min(job.count, max(1, round(source.seconds * job.frames_per_second)))
    at_start = job.text("extend_at", "end") == "start"
    frames = _led_up_to(job, source, job.count - own) if at_start else _gone_on(job, source, own)
    return Shot(frames, _lengthened_sound(job, source, own, at_start=at_start), never)


def _all_of(job: ClipJob) -> list[float]:
    return [job.progress(number) for number in range(job.count)]


def _travel(
    job: ClipJob, start: Still, end: Still | None, camera: Camera, progresses: list[float]
) -> Iterator[VideoFrame]:
    wash = Wash(job.scene, job.canvas)
    back = Camera(camera.zoom, -camera.across, -camera.down)
    for progress in progresses:
        turned = eased((progress - _TURN_STARTS) / _TURN_LASTS) if end is not None else 0.0
        frame = start.seen_by(camera, eased(progress)) if turned < 1 else None
        if end is not None and turned > 0:
            arriving = end.seen_by(back, eased(1 - progress))
            frame = arriving if frame is None else planes.mix(frame, arriving, turned)
        assert frame is not None
        light = 4 * progress * (1 - progress) if end is not None else eased(progress)
        yield planes.mix(frame, wash.at(progress), _WASH_SHARE * light) if light > 0 else frame


def _arrived_at(job: ClipJob, path: Path) -> Iterator[VideoFrame]:
    picture = job.canvas.cover(frame_of(load_picture(path)))
    return _away_from(job, picture, [1 - progress for progress in _all_of(job)])


def _gone_on(job: ClipJob, source: VideoSource, own: int) -> Iterator[VideoFrame]:
    last = None
    for number, seen in enumerate(source.walk(job.moments[:own])):
        frame = job.canvas.whole(seen)
        if number == own - 1:
            last = planes.copy_frame(frame)
        yield frame
    added = job.count - own
    if last is None or added == 0:
        return
    distances = [(number + 1) / added for number in range(added)]
    ends = job.files(Role.END_IMAGE)
    if ends:
        start, end = Still(last, job.canvas), Still(frame_of(load_picture(ends[0])), job.canvas)
        yield from _travel(job, start, end, read_camera(job.order.prompt, job.seed), distances)
    else:
        yield from _away_from(job, last, distances)


def _led_up_to(job: ClipJob, source: VideoSource, added: int) -> Iterator[VideoFrame]:
    own = map(job.canvas.whole, source.walk(job.moments[: job.count - added]))
    if added == 0:
        return own
    first = job.canvas.whole(source.first())
    return chain(_away_from(job, first, [1 - number / added for number in range(added)]), own)


def _away_from(job: ClipJob, picture: VideoFrame, distances: list[float]) -> Iterator[VideoFrame]:
    """Travel from a picture (distance 0) into the scene (distance 1)."""
    still = Still(picture, job.canvas)
    backdrop = Backdrop(job.scene, job.canvas)
    camera = read_camera(job.order.prompt, job.seed)
    for distance in distances:
        share = eased((distance - _SCENE_STARTS) / _SCENE_LASTS)
        frame = still.seen_by(camera, eased(distance)) if share < 1 else None
        if share > 0:
            scene = backdrop.at(distance)
            frame = scene if frame is None else planes.mix(frame, scene, share)
        assert frame is not None
        yield frame


def _lengthened_sound(job: ClipJob, source: VideoSource, own: int, *, at_start: bool) -> Iterator[Block] | None:
    kept = kept_sound(job, source)
    if kept is None or job.files(Role.AUDIO):
        return new_sound(job)
    own_samples = round(own / job.frames_per_second * SOUND_RATE)
    added_samples = job.sound_samples - own_samples
    if added_samples <= 0:
        return kept
    new = composed(job, added_samples)
    return joined(new, added_samples, kept) if at_start else joined(kept, own_samples, new)
