"""Image jobs: what was asked comes out, the caller's pictures are truly worked on, and every file says what it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.media.picture_kit import likeness, order, read_pixels, rendered, source_pixels, write_source

from pixeldojo.media.facts import UnreadableMedia
from pixeldojo.media.image import SOFTWARE, render_image
from pixeldojo.media.orders import ImageOperation, Role


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_source(tmp_path / "source.png")


@pytest.mark.parametrize(("file_format", "decoder"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
def test_size_and_format_are_those_asked_for(tmp_path: Path, file_format: str, decoder: str) -> None:
    paths = render_image(order(size=(203, 117), file_format=file_format), tmp_path)
    assert [path.suffix for path in paths] == [f".{file_format}"]
    with Image.open(paths[0]) as picture:
        assert (picture.format, picture.size) == (decoder, (203, 117))


def test_a_png_says_where_it_is_from(tmp_path: Path) -> None:
    with Image.open(render_image(order("日本 at dawn", seed=11), tmp_path)[0]) as picture:
        assert picture.info["Software"] == SOFTWARE
        assert picture.info["Description"] == "日本 at dawn"
        assert (picture.info["Model"], picture.info["Seed"]) == ("flux-1.1-pro", "11")


@pytest.mark.parametrize("file_format", ["jpg", "webp"])
def test_exif_says_where_it_is_from(tmp_path: Path, file_format: str) -> None:
    path = render_image(order("日本 at dawn", seed=11, file_format=file_format), tmp_path)[0]
    with Image.open(path) as picture:
        exif = picture.getexif()
        comment = exif.get_ifd(0x8769)[0x9286]
    assert exif[0x0131] == SOFTWARE
    assert json.loads(comment[8:]) == {
        "software": SOFTWARE,
        "model": "flux-1.1-pro",
        "prompt": "日本 at dawn",
        "seed": 11,
    }


@pytest.mark.parametrize("file_format", ["png", "jpg", "webp"])
def test_the_same_order_gives_the_same_bytes(tmp_path: Path, file_format: str) -> None:
    first, second = (render_image(order(file_format=file_format), tmp_path)[0] for _ in range(2))
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_seed_and_model_change_the_picture(tmp_path: Path) -> None:
    orders = [order(), order(seed=8), order(model_id="flux-2-pro")]
    assert len({rendered(one, tmp_path).tobytes() for one in orders}) == 3


def test_several_pictures_differ_and_the_first_is_the_single_one(tmp_path: Path) -> None:
    single = rendered(order(), tmp_path)
    several = [read_pixels(path) for path in render_image(order(count=3), tmp_path)]
    assert len({one.tobytes() for one in several}) == 3
    assert np.array_equal(several[0], single)


@pytest.mark.parametrize("file_format", ["jpg", "webp"])
def test_quality_is_honoured(tmp_path: Path, file_format: str) -> None:
    sizes = [
        render_image(order(file_format=file_format, quality=quality), tmp_path)[0].stat().st_size
        for quality in (0, 50, 100)
    ]
    assert sizes == sorted(set(sizes))


def test_an_upscale_is_the_source_enlarged(tmp_path: Path, source: Path) -> None:
    asked = order(size=(384, 256), operation=ImageOperation.UPSCALE, sources={Role.SOURCE_IMAGE: (source,)})
    large = rendered(asked, tmp_path)
    assert large.shape == (256, 384, 3)
    small = np.asarray(Image.fromarray(large).resize((96, 64), Image.Resampling.BOX))
    assert likeness(small, source_pixels(96, 64)) > 0.97


def test_a_reframe_keeps_every_source_pixel_where_it_belongs(tmp_path: Path, source: Path) -> None:
    asked = order(
        size=(240, 200),
        operation=ImageOperation.REFRAME,
        sources={Role.SOURCE_IMAGE: (source,)},
        options={"left": 100, "top": 20},
    )
    wide = rendered(asked, tmp_path)
    assert np.array_equal(wide[20:84, 100:196], source_pixels(96, 64))
    beside = wide[20:84, 97:100].astype(int)
    assert np.abs(beside.mean(axis=1) - wide[20:84, 100].astype(int)).mean() < 60, "the new ground carries on the edge"


def test_a_reframe_shrinks_the_source_where_it_is_told_to(tmp_path: Path, source: Path) -> None:
    asked = order(
        size=(96, 64),
        operation=ImageOperation.REFRAME,
        sources={Role.SOURCE_IMAGE: (source,)},
        options={"left": 24, "top": 16, "scale": 0.5},
    )
    wide = rendered(asked, tmp_path)
    half = np.asarray(Image.fromarray(source_pixels(96, 64)).resize((48, 32)))
    assert likeness(wide[32:48, 24:72], half[16:]) > 0.97, "below the mark"
    assert likeness(wide, source_pixels(96, 64)) < 0.9


@pytest.mark.parametrize("size", [(192, 128), (128, 128), (120, 300)])
def test_an_edit_shows_the_whole_source(tmp_path: Path, source: Path, size: tuple[int, int]) -> None:
    asked = order(size=size, operation=ImageOperation.EDIT, sources={Role.SOURCE_IMAGE: (source,)})
    edited = rendered(asked, tmp_path)
    height = min(size[1], round(size[0] / 1.5))
    middle = edited[(size[1] - height) // 2 :][:height]
    inside = middle[height // 4 : -height // 4, size[0] // 8 : -size[0] // 8]
    expected = np.asarray(Image.fromarray(source_pixels(96, 64)).resize((size[0], height)))
    assert likeness(inside, expected[height // 4 : -height // 4, size[0] // 8 : -size[0] // 8]) > 0.6
    plain = rendered(order(size=size), tmp_path)
    assert likeness(edited[:4], plain[:4]) > 0.9, "and the drawn scene around it"


@pytest.mark.parametrize("role", [Role.MASK, Role.KEPT_MASK])
def test_a_mask_decides_which_pixels_change(tmp_path: Path, role: Role) -> None:
    source = write_source(tmp_path / "source.png", 192, 128)
    mask = np.zeros((128, 192), np.uint8)
    mask[40:100, 50:120] = 255
    Image.fromarray(mask if role is Role.MASK else 255 - mask).save(tmp_path / "mask.png")
    asked = order(
        operation=ImageOperation.EDIT,
        sources={Role.SOURCE_IMAGE: (source,), role: (tmp_path / "mask.png",)},
    )
    edited, before = rendered(asked, tmp_path), source_pixels(192, 128)
    assert np.array_equal(edited[mask == 0][30 * 192 :], before[mask == 0][30 * 192 :]), "below the mark"
    assert not np.array_equal(edited[mask == 255], before[mask == 255])


def test_a_transparent_mask_marks_what_may_change(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source.png", 192, 128)
    hole = np.full((128, 192, 4), 255, np.uint8)
    hole[40:100, 50:120, 3] = 0
    Image.fromarray(hole).save(tmp_path / "mask.png")
    asked = order(
        operation=ImageOperation.EDIT,
        sources={Role.SOURCE_IMAGE: (source,), Role.MASK: (tmp_path / "mask.png",)},
    )
    edited, before = rendered(asked, tmp_path), source_pixels(192, 128)
    assert np.array_equal(edited[100:], before[100:])
    assert not np.array_equal(edited[40:100, 50:120], before[40:100, 50:120])


@pytest.mark.parametrize("operation", [ImageOperation.RESTYLE, ImageOperation.RELIGHT])
def test_grading_keeps_the_source_recognisable(tmp_path: Path, source: Path, operation: ImageOperation) -> None:
    asked = order("", size=(96, 64), operation=operation, sources={Role.SOURCE_IMAGE: (source,)})
    graded, before = rendered(asked, tmp_path), source_pixels(96, 64)
    assert not np.array_equal(graded, before)
    assert likeness(graded[..., 1][16:], before[..., 1][16:]) > 0.5


def test_a_stronger_restyle_goes_further(tmp_path: Path, source: Path) -> None:
    alike = []
    for strength in (0.0, 1.0):
        asked = order(
            size=(96, 64),
            operation=ImageOperation.RESTYLE,
            sources={Role.SOURCE_IMAGE: (source,)},
            options={"strength": strength},
        )
        alike.append(likeness(rendered(asked, tmp_path), source_pixels(96, 64)))
    assert alike[0] > alike[1]


@pytest.mark.parametrize("side", ["Left Light", "Right Light", "Top Light", "Bottom Light"])
def test_light_comes_from_the_side_asked_for(tmp_path: Path, side: str) -> None:
    Image.new("RGB", (96, 96), (120, 120, 120)).save(tmp_path / "grey.png")
    asked = order(
        size=(96, 96),
        operation=ImageOperation.RELIGHT,
        sources={Role.SOURCE_IMAGE: (tmp_path / "grey.png",)},
        options={"light_source": side},
    )
    lit = rendered(asked, tmp_path).mean(axis=2)
    bright = {"Left": lit[:, :20], "Right": lit[:, -20:], "Top": lit[:20], "Bottom": lit[-20:]}
    assert max(bright, key=lambda name: float(np.median(bright[name]))) == side.split(maxsplit=1)[0]


def test_references_are_shown(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), (255, 0, 255)).save(tmp_path / "one.png")
    Image.new("RGB", (50, 80), (0, 255, 0)).save(tmp_path / "two.png")
    references = (tmp_path / "one.png", tmp_path / "two.png")
    picture = rendered(order(sources={Role.REFERENCE_IMAGES: references}), tmp_path)
    for colour in ((255, 0, 255), (0, 255, 0)):
        assert (picture == colour).all(axis=2).sum() > 100


@pytest.mark.parametrize("file_format", ["png", "webp"])
def test_a_transparent_background_has_an_alpha_channel(tmp_path: Path, file_format: str) -> None:
    path = render_image(order(file_format=file_format, options={"is_transparent": True}), tmp_path)[0]
    with Image.open(path) as picture:
        alpha = np.asarray(picture.getchannel("A"))
    assert alpha[0, 0] == 0
    assert alpha[64, 96] == 255


def test_a_source_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(source_pixels(96, 64)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    sources = {Role.SOURCE_IMAGE: (tmp_path / "turned.jpg",)}
    large = rendered(order(size=(128, 192), operation=ImageOperation.UPSCALE, sources=sources), tmp_path)
    upright = np.rot90(source_pixels(96, 64), k=-1)
    assert likeness(large, np.asarray(Image.fromarray(upright.copy()).resize((128, 192)))) > 0.95


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    with pytest.raises(UnreadableMedia, match="broken"):
        render_image(
            order(operation=ImageOperation.EDIT, sources={Role.SOURCE_IMAGE: (tmp_path / "broken.png",)}), tmp_path
        )
    with pytest.raises(ValueError, match="source image"):
        render_image(order(operation=ImageOperation.UPSCALE), tmp_path)
    with pytest.raises(ValueError, match="png, jpg, webp"):
        render_image(order(file_format="tga"), tmp_path)
    with pytest.raises(ValueError, match="do not fit into a webp"):
        render_image(order(size=(16_384, 1), file_format="webp"), tmp_path)
