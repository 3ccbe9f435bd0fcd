"""The files that models are given in tests: a picture, a mask, a clip with sound and a track, made anew each time.

Owns what they are and serving them on loopback. Their shapes, lengths and rates differ from one another and from what
models do by themselves, so that a result shows which of them it followed.
"""

import base64
import io
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image

from pixeldojo.catalog.parameters import Parameter

_SOUND_RATE = 48_000


@dataclass(frozen=True)
class Sample:
    """One file and what is known of it."""

    content_type: str
    content: bytes
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    frames_per_second: float = 0.0

    @property
    def data_uri(self) -> str:
        return f"data:{self.content_type};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Samples:
    """One file of each kind, under the name by which it is served."""

    image: Sample
    mask: Sample
    video: Sample
    audio: Sample

    def sample_for(self, parameter: Parameter) -> Sample:
        """Return the file for a media parameter."""
        name = "mask" if parameter.role == "mask" else "image" if parameter.media == "file" else parameter.media
        found = getattr(self, str(name))
        assert isinstance(found, Sample)
        return found

    def name_for(self, parameter: Parameter) -> str:
        """Return the name under which that file is served."""
        found = self.sample_for(parameter)
        return next(name for name in ("image", "mask", "video", "audio") if getattr(self, name) is found)


def make_samples(folder: Path) -> Samples:
    """Make the files; the clip by way of a folder."""
    return Samples(
        image=Sample("image/jpeg", _jpeg(_picture(768, 512)), 768, 512),
        mask=Sample("image/png", _mask(768, 512), 768, 512),
        video=Sample("video/mp4", _clip(folder / "clip.mp4", 512, 384, 3, 20), 512, 384, 3.0, 20.0),
        audio=Sample("audio/wav", _track(3.5), seconds=3.5),
    )


@contextmanager
def serving(samples: Samples) -> Iterator[str]:
    """Serve the files on loopback and give the address before their names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sample = getattr(samples, self.path.rpartition("/")[2])
            self.send_response(200)
            self.send_header("Content-Type", sample.content_type)
            self.send_header("Content-Length", str(len(sample.content)))
            self.end_headers()
            self.wfile.write(sample.content)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def _picture(width: int, height: int, shift: int = 0) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """A sky over fields with a sun, so that people who look at results know what was done to it."""
    down, across = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.uint8)
    sky = down / height
    picture[..., 0], picture[..., 1], picture[..., 2] = 90 + 120 * sky, 150 + 60 * sky, 230 - 60 * sky
    hills = height * 0.62 + 0.05 * height * np.sin(across / width * 9 + shift * 0.1)
    picture[down > hills] = (70, 130, 60)
    picture[down > hills + height * 0.16] = (50, 95, 50)
    sun = (across - width * 0.25 - 3 * shift) ** 2 + (down - height * 0.28) ** 2 < (height * 0.1) ** 2
    picture[sun] = (255, 225, 120)
    return picture


def _jpeg(picture: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=88)
    return written.getvalue()


def _mask(width: int, height: int) -> bytes:
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 255
    written = io.BytesIO()
    Image.fromarray(mask).save(written, "PNG")
    return written.getvalue()


def _clip(path: Path, width: int, height: int, seconds: int, rate: int) -> bytes:
    with av.open(path, "w") as container:
        pictures = container.add_stream("libx264", rate, {"preset": "ultrafast"})
        sound = container.add_stream("aac", _SOUND_RATE)
        assert isinstance(pictures, VideoStream)
        assert isinstance(sound, AudioStream)
        pictures.width, pictures.height, pictures.pix_fmt, sound.layout = width, height, "yuv420p", "mono"
        for number in range(seconds * rate):
            frame = av.VideoFrame.from_ndarray(_picture(width, height, number), format="rgb24")
            frame.pts = number
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        tone = av.AudioFrame.from_ndarray(_tone(seconds)[None, :].astype(np.float32), format="fltp", layout="mono")
        tone.sample_rate = _SOUND_RATE
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
    return path.read_bytes()


def _track(seconds: float) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setparams((1, 2, _SOUND_RATE, 0, "NONE", ""))
        file.writeframes((_tone(seconds) * 32_000).astype("<i2").tobytes())
    return written.getvalue()


def _tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    moments = np.arange(round(seconds * _SOUND_RATE)) / _SOUND_RATE
    tone: np.ndarray[tuple[int], np.dtype[np.float64]] = (
        0.4 * np.sin(2 * np.pi * 330 * moments) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * moments))
    )
    return tone
