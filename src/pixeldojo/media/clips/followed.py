"""Clips in which the caller's character moves as somebody in the caller's video moves.

Owns ANIMATE and REPLACE. Leaves finding the movement to `motion`.
"""

from collections.abc import Iterator

from av import VideoFrame
from PIL import ImageOps

from pixeldojo.media.clips.job import ClipJob, Shot, never
from pixeldojo.media.clips.motion import Follower
from pixeldojo.media.clips.pictures import Still, frame_of, load_picture
from pixeldojo.media.clips.prints import LivePrint
from pixeldojo.media.clips.tracks import kept_sound
from pixeldojo.media.orders import Role
from pixeldojo.media.sprite import card
from pixeldojo.media.video_source import VideoSource

_CLOSE_UP = 1.22
_REACH = 1.6
_CHARACTER_SHARE = 0.5
_INSET_SHARE = 0.28


def animate(job: ClipJob) -> Shot:
    """Fill the picture with the character, moved as the driving video moves; that plays small in a corner."""
    source = job.video()
    return Shot(_animated(job, source), kept_sound(job, source), never)


def replace(job: ClipJob) -> Shot:
    """Play the video with the character's picture standing where it moves."""
    source = job.video()
    return Shot(_replaced(job, source), kept_sound(job, source), never)


def _animated(job: ClipJob, source: VideoSource) -> Iterator[VideoFrame]:
    character = Still(frame_of(load_picture(job.file(Role.REFERENCE_IMAGES))), job.canvas)
    side = min(job.canvas.width, job.canvas.height) * _INSET_SHARE
    size = (round(side * 1.4), round(side))
    inset = LivePrint(source, job.moments, size, job.canvas.width - side * 0.9, job.canvas.height - side * 0.72)
    follower = Follower()
    for number, seen in enumerate(source.walk(job.moments)):
        across, down = follower.look(seen)
        # The picture moves against the camera: to bring the character to the right, look to the left.
        frame = character.close_up(_CLOSE_UP, -across * _REACH, -down * _REACH)
        inset.lay(frame, job.progress(number))
        yield frame


def _replaced(job: ClipJob, source: VideoSource) -> Iterator[VideoFrame]:
    canvas = job.canvas
    picture = load_picture(job.file(Role.REFERENCE_IMAGES))
    room = (max(2, round(canvas.width * _CHARACTER_SHARE)), max(2, round(canvas.height * _CHARACTER_SHARE)))
    character = card(ImageOps.contain(picture, room))
    follower = Follower()
    for seen in source.walk(job.moments):
        across, down = follower.look(seen)
        frame = canvas.whole(seen)
        left = canvas.width / 2 * (1 + 0.8 * across) - character.width / 2
        top = canvas.height / 2 * (1 + 0.6 * down) - character.height / 2
        character.lay(frame, left, top)
        yield frame
