"""Images of upstreams: whole ones are believed by their structure, and whatever is not provably whole is decoded."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.unit.media.picture_kit import source_pixels

from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.media.probe import probe_media, probe_output
from pixeldojo.media.whole import is_whole

WAYS: dict[str, dict[str, object]] = {
    "png": {},
    "jpeg": {"quality": 90},
    "jpeg, progressive": {"progressive": True},
    "jpeg, with restarts": {"restart_marker_blocks": 1},
    "webp": {},
    "webp, lossless": {"lossless": True},
    "webp, moving": {"save_all": True, "append_images": [Image.new("RGB", (60, 44))]},
    "gif": {},
    "avif": {},
    "bmp": {},
    "tiff": {},
}
PROVABLE = [way for way in WAYS if way.partition(",")[0] in {"png", "jpeg", "webp"}]


def write(folder: Path, way: str) -> tuple[Path, str]:
    name = way.partition(",")[0]
    path = folder / "a"
    exif = Image.Exif()
    exif[0x010E] = "A picture\xff\xd9".encode("latin-1")
    Image.fromarray(source_pixels(60, 44)).save(path, name, **({"exif": exif} if name == "jpeg" else {}), **WAYS[way])
    return path, f"image/{name}"


@pytest.mark.parametrize("way", PROVABLE)
def test_a_whole_image_is_measured_without_being_decoded(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, content_type = write(tmp_path, way)
    facts = probe_media(path)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("it was decoded"))
    assert probe_output(path) == facts == MediaFacts("image", content_type, path.stat().st_size, 60, 44)


@pytest.mark.parametrize("way", sorted(set(WAYS) - set(PROVABLE)))
def test_other_images_are_decoded(tmp_path: Path, way: str) -> None:
    path, content_type = write(tmp_path, way)
    assert not is_whole(path, content_type)
    assert probe_output(path) == probe_media(path)


@pytest.mark.parametrize("way", [way for way in WAYS if way != "bmp"])
def test_an_image_cut_anywhere_is_not_believed(tmp_path: Path, way: str) -> None:
    path, content_type = write(tmp_path, way)
    content = path.read_bytes()
    for length in (*range(8, 64), *range(64, len(content), 7), len(content) - 1):
        path.write_bytes(content[:length])
        assert not is_whole(path, content_type), length
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(UnreadableMedia):
            probe_output(path)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_an_image_is_as_wide_as_it_is_shown(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(source_pixels(60, 44)).save(tmp_path / "turned", name, exif=exif)
    facts = probe_output(tmp_path / "turned")
    assert (facts.width, facts.height) == (44, 60)


@pytest.mark.parametrize("way", PROVABLE)
def test_bytes_after_the_end_are_for_the_decoder_to_judge(tmp_path: Path, way: str) -> None:
    path, _ = write(tmp_path, way)
    path.write_bytes(path.read_bytes() + b"and more")
    assert (probe_output(path).width, probe_output(path).height) == (60, 44)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_png_with_any_bit_changed_is_not_believed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path, content_type = write(tmp_path_factory.getbasetemp(), "png")
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(8, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert not is_whole(path, content_type)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200), way=st.sampled_from(["png", "jpeg", "webp"]))
def test_any_bytes_at_all_are_judged(content: bytes, way: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes"
    starts = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "webp": b"RIFF\xd0\0\0\0WEBP"}
    path.write_bytes(starts[way] + content)
    assert is_whole(path, f"image/{way}") in {True, False}
