"""An edit of several pictures: the first is worked on, none is lost."""

from pixeldojo.catalog.load import load_catalog
from pixeldojo.providers.contract import Call, InputFile
from pixeldojo.providers.sandbox.plan import plan_order


def _picture(index: int) -> InputFile:
    return InputFile("image_urls", index, None, f"inputs/{index}", "image", "image/png", 10, width=640, height=480)


def test_every_picture_of_an_edit_is_in_the_order() -> None:
    for model_id in ("p-image-edit", "flux-2-pro", "nano-banana-2"):
        model = load_catalog().find(model_id)
        given = {"prompt": "Together", "image_urls": ["https://a/1", "https://a/2", "https://a/3"]}
        files = tuple(_picture(index) for index in range(3))
        call = Call("job", "attempt", model.id, model.task, model.id, {}, given, model.output_json, files)
        assert plan_order(call)["sources"] == {"source_image": [0], "reference_images": [1, 2]}, model_id
