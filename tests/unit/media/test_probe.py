"""Measuring: types by content, sizes and lengths, and every way a file can be unfit."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from av.audio.stream import AudioStream
from PIL import Image
from tests.unit.media.clip_kit import counting, make_sound, make_video
from tests.unit.media.picture_kit import source_pixels

from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.mesh import render_mesh
from pixeldojo.media.orders import MeshOrder
from pixeldojo.media.probe import probe_media

IMAGES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}


def write_image(path: Path, decoder: str) -> Path:
    Image.fromarray(source_pixels(60, 44)).save(path, decoder)
    return path


def write_sound(path: Path, codec: str, container: str) -> Path:
    """Write two seconds of a tone by way of a WAV."""
    wave = make_sound(path.with_name("tone.wav"), 440, 2.0, 48_000)
    with av.open(wave) as source, av.open(path, "w", format=container) as target:
        stream = target.add_stream(codec, 48_000)
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        for frame in source.decode(audio=0):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("decoder", IMAGES)
def test_images_are_known_by_content_whatever_their_name(tmp_path: Path, decoder: str) -> None:
    path = write_image(tmp_path / "holiday.mp4", decoder)
    assert probe_media(path) == MediaFacts("image", IMAGES[decoder], path.stat().st_size, 60, 44)


def test_an_image_is_as_wide_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(source_pixels(60, 44)).save(tmp_path / "turned.jpg", exif=exif)
    facts = probe_media(tmp_path / "turned.jpg")
    assert (facts.width, facts.height) == (44, 60)


@pytest.mark.parametrize(
    ("name", "content_type"), [("a.mp4", "video/mp4"), ("a.mov", "video/quicktime"), ("a.mkv", "video/x-matroska")]
)
def test_videos(tmp_path: Path, name: str, content_type: str) -> None:
    path = make_video(tmp_path / name, counting, frames=12, rate=24)
    facts = probe_media(path)
    assert (facts.kind, facts.content_type, facts.width, facts.height) == ("video", content_type, 64, 64)
    assert facts.duration_seconds == pytest.approx(0.5, abs=0.05)
    assert facts.frames_per_second == pytest.approx(24, abs=0.1)
    assert not facts.has_audio


def test_a_webm_with_sound(tmp_path: Path) -> None:
    facts = probe_media(make_video(tmp_path / "a.webm", counting, codec="libvpx-vp9", tone=440))
    assert (facts.kind, facts.content_type, facts.has_audio) == ("video", "video/webm", True)


@pytest.mark.parametrize(
    ("codec", "container", "content_type"),
    [
        ("pcm_s16le", "wav", "audio/wav"),
        ("libmp3lame", "mp3", "audio/mpeg"),
        ("libopus", "ogg", "audio/ogg"),
        ("flac", "flac", "audio/flac"),
        ("aac", "ipod", "audio/mp4"),
    ],
)
def test_sounds(tmp_path: Path, codec: str, container: str, content_type: str) -> None:
    path = write_sound(tmp_path / "sound", codec, container)
    facts = probe_media(path)
    assert (facts.kind, facts.content_type, facts.has_audio) == ("audio", content_type, True)
    assert (facts.width, facts.height, facts.frames_per_second) == (None, None, None)
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.1)


def test_sound_in_an_mp4_is_sound(tmp_path: Path) -> None:
    facts = probe_media(write_sound(tmp_path / "voice.mp4", "aac", "mp4"))
    assert (facts.kind, facts.content_type) == ("audio", "audio/mp4")


def test_a_3d_model(tmp_path: Path) -> None:
    path = render_mesh(MeshOrder("hunyuan-3d", "a cat", 1, face_count=500), tmp_path)[0]
    assert probe_media(path) == MediaFacts("model3d", "model/gltf-binary", path.stat().st_size)


def cut(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


BROKEN: dict[str, Callable[[Path], Path]] = {
    "png": lambda folder: cut(write_image(folder / "a", "PNG")),
    "jpeg": lambda folder: cut(write_image(folder / "a", "JPEG")),
    "webp": lambda folder: cut(write_image(folder / "a", "WEBP")),
    "avif": lambda folder: cut(write_image(folder / "a", "AVIF")),
    "tiff": lambda folder: cut(write_image(folder / "a", "TIFF")),
    "mp4": lambda folder: cut(make_video(folder / "a.mp4", counting)),
    "mkv": lambda folder: cut(make_video(folder / "a.mkv", counting)),
    "wav": lambda folder: cut(write_sound(folder / "a", "pcm_s16le", "wav")),
    "mp3": lambda folder: cut(write_sound(folder / "a", "libmp3lame", "mp3")),
    "flac": lambda folder: cut(write_sound(folder / "a", "flac", "flac")),
    "m4a": lambda folder: cut(write_sound(folder / "a", "aac", "ipod")),
    "glb": lambda folder: cut(render_mesh(MeshOrder("m", "a cat", 1, face_count=500), folder)[0]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_cut_in_the_middle_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnreadableMedia):
        probe_media(BROKEN[kind](tmp_path))


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"BM"])
def test_a_right_beginning_alone_is_no_image(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a").write_bytes(start + bytes(range(256)) * 4)
    with pytest.raises(UnreadableMedia):
        probe_media(tmp_path / "a")


@pytest.mark.parametrize("start", [b"\x1a\x45\xdf\xa3", b"\0\0\0\x20ftypisom", b"OggS", b"fLaC", b"ID3\x04", b"glTF"])
def test_a_right_beginning_alone_is_no_other_media(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a").write_bytes(start + bytes(range(256)) * 4)
    with pytest.raises(UnreadableMedia):
        probe_media(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html></html>", "HTML page"),
        (b"  <svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b'{"error": "not found"}', "JSON"),
        (b"just words", "PNG, JPEG"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret.ts\n", "no type known"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "JPEG or PNG"),
        (b"\xff\xf1\x50\x80" + bytes(100), "no type known"),
    ],
)
def test_what_is_not_media_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "picture.png").write_bytes(content)
    with pytest.raises(UnreadableMedia, match=says):
        probe_media(tmp_path / "picture.png")


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(9))))
    with pytest.raises(UnreadableMedia, match="megapixels"):
        probe_media(tmp_path / "bomb.png")


def test_an_avif_whose_pixels_are_noise_is_refused(tmp_path: Path) -> None:
    content = write_image(tmp_path / "picture.avif", "AVIF").read_bytes()
    start = content.index(b"mdat") + 4
    (tmp_path / "noise.avif").write_bytes(content[:start] + b"\xa5" * (len(content) - start))
    with pytest.raises(UnreadableMedia, match="broken or cut short"):
        probe_media(tmp_path / "noise.avif")


def test_a_title_in_another_encoding_does_not_matter(tmp_path: Path) -> None:
    wave = make_sound(tmp_path / "tone.wav", 440, 0.2).read_bytes()
    title = b"INFOINAM" + struct.pack("<I", 6) + b"Caf\xe9\0\0"
    more = wave[8:] + b"LIST" + struct.pack("<I", len(title)) + title
    (tmp_path / "titled.wav").write_bytes(b"RIFF" + struct.pack("<I", len(more)) + more)
    assert probe_media(tmp_path / "titled.wav").kind == "audio"


def test_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    film = make_video(tmp_path / "clip.mp4", counting, frames=6).read_bytes()
    at = film.index(b"avc1", film.index(b"stsd"))
    (tmp_path / "odd.mp4").write_bytes(film[:at] + b"zz99" + film[at + 4 :])
    wave = make_sound(tmp_path / "tone.wav", 440, 0.2).read_bytes()
    (tmp_path / "odd.wav").write_bytes(wave[:20] + b"\x99\x99" + wave[22:])
    for name in ("odd.mp4", "odd.wav"):
        with pytest.raises(UnreadableMedia, match="codec"):
            probe_media(tmp_path / name)


def test_a_cover_picture_does_not_make_a_video(tmp_path: Path) -> None:
    wave = make_sound(tmp_path / "tone.wav", 440, 1.0)
    cover = write_image(tmp_path / "cover.png", "PNG")
    with av.open(wave) as source, av.open(cover) as picture, av.open(tmp_path / "song.mp3", "w") as target:
        sound = target.add_stream("libmp3lame", 24_000)
        art = target.add_stream_from_template(picture.streams.video[0])
        art.disposition = av.stream.Disposition.attached_pic
        for packet in picture.demux():
            if packet.dts is not None:
                packet.stream = art
                target.mux(packet)
        for frame in source.decode(audio=0):
            target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    facts = probe_media(tmp_path / "song.mp3")
    assert (facts.kind, facts.content_type) == ("audio", "audio/mpeg")
