"""Every model of the catalog, with every media input it has, gives an order that the renderers can read."""

from pathlib import Path

import pytest

from pixeldojo.catalog.inputs import media_values, read_input
from pixeldojo.catalog.load import load_catalog
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue
from pixeldojo.media.order_reader import parse_order
from pixeldojo.media.orders import AudioOrder, ImageOrder, MeshOrder, Role, VideoOrder
from pixeldojo.providers.contract import Call, InputFile
from pixeldojo.providers.sandbox.plan import plan_order

KINDS = {"image": ImageOrder, "video": VideoOrder, "audio": AudioOrder, "model3d": MeshOrder}
MODELS = load_catalog().models
each_model = pytest.mark.parametrize("model", MODELS, ids=[model.id for model in MODELS])


def input_file(parameter: str, index: int, kind: str) -> InputFile:
    if kind == "audio":
        return InputFile(parameter, index, None, f"{parameter}-{index}", kind, "audio/wav", 9, duration_seconds=4.0)
    if kind == "video":
        return InputFile(
            parameter, index, None, f"{parameter}-{index}", kind, "video/mp4", 9, 640, 360, 4.0, 30.0, True
        )
    return InputFile(parameter, index, None, f"{parameter}-{index}", kind, "image/png", 9, 640, 360)


def call_of(model: Model, taken: dict[str, JsonValue]) -> Call:
    files = tuple(
        input_file(media.parameter, media.index, media.kind)
        for media in media_values(model, taken)
        if media.kind in {"image", "video", "audio"}
    )
    return Call("job", "attempt", model.id, model.task, model.id, taken, taken, model.output_json, files)


def addresses(parameter: Parameter) -> JsonValue:
    url = f"https://example.com/{parameter.media}"
    return [url] * max(parameter.min_items or 1, 1) if parameter.is_array else url


@each_model
def test_its_example_can_be_drawn(model: Model) -> None:
    call = call_of(model, read_input(model, model.example))
    order = parse_order(plan_order(call), [Path(file.blob_key) for file in call.files])
    assert isinstance(order, KINDS[model.output.kind])
    if isinstance(order, ImageOrder | VideoOrder):
        width, height = model.output.pixels(call.input, call.files)
        assert order.width == width - width % (2 if isinstance(order, VideoOrder) else 1)
        assert order.height in {height, height - height % 2}


@each_model
def test_each_of_its_media_inputs_plays_a_part(model: Model) -> None:
    for parameter in model.parameters:
        if parameter.media not in {"image", "video", "audio"} or parameter.applies_when is not None:
            continue
        call = call_of(model, {**read_input(model, model.example), parameter.name: addresses(parameter)})
        order = parse_order(plan_order(call), [Path(file.blob_key) for file in call.files])
        used = {path.name.rpartition("-")[0] for paths in order.sources.values() for path in paths}
        assert parameter.name in used
        assert set(order.sources) <= set(Role)
