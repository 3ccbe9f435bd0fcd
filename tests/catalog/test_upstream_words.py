"""Every trap known from upstreams' documents: the user of the API gets what they asked for and pays for no more."""

from collections.abc import Mapping

import pytest
from tests.catalog import traps_of_silence, traps_of_words
from tests.catalog.strategies import MODELS
from tests.catalog.trap import CLIP, IMAGE, SOUND, Trap

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.inputs import read_input
from pixeldojo.core.errors import ValidationError
from pixeldojo.core.json_types import JsonObject, JsonValue

PACKAGED = {model.id: model for model in MODELS}
TRAPS = (*traps_of_silence.TRAPS, *traps_of_words.TRAPS)

REFUSED: tuple[tuple[str, JsonObject, str], ...] = (
    ("hailuo-standard", {"resolution": "1080p", "duration": 10}, "the model makes 10 seconds at 768p only"),
    ("hailuo-fast", {"resolution": "1080p", "duration": 10}, "the model makes 10 seconds at 768p only"),
    ("ltx-2-fast-t2v", {"duration": 20, "fps": 50}, "fps must be 25"),
    ("ltx-2-fast-i2v", {"duration": 12, "resolution": "1440p"}, 'resolution must be "1080p"'),
    ("wan-2.7-image", {"num_outputs": 6}, "more than four need enable_sequential"),
    ("gpt-image-low", {"background": "transparent", "output_format": "jpeg"}, "output_format must be"),
    ("veo-3.1-lite", {"aspect_ratio": "1:1"}, "aspect_ratio must be"),
    ("veo-3.1-fast", {"aspect_ratio": "1:1"}, "aspect_ratio must be"),
    ("heygen-avatar", {"script": None}, "Give at least one of script or audio_url"),
    ("seedance-2-reference", {"image_urls": None, "audio_urls": [SOUND]}, "a sound alone shows nothing"),
    ("wan-2.7-i2v", {"video_url": CLIP}, "Give exactly one of image_url or video_url"),
    ("hunyuan-3d", {"image_url": IMAGE}, "Give exactly one of"),
    ("kling-video-v3-standard-text", {"multi_prompt": [{"prompt": "x"}]}, "Give exactly one of"),
    ("flux-dev-multi-lora", {"loras": ["a/b", "c/d"], "lora_scales": [1.0]}, "as many items as one another"),
)


def asked(model_id: str, given: JsonObject) -> dict[str, JsonValue]:
    """Return the model's example with what is given put in, and what is None taken out."""
    whole = {**PACKAGED[model_id].example, **given}
    return {name: value for name, value in whole.items() if value is not None}


def at(words: JsonValue, path: str) -> JsonValue:
    """Return what stands at a dotted path, None where nothing does."""
    for part in path.split("."):
        if isinstance(words, list):
            words = words[int(part)] if int(part) < len(words) else None
        else:
            words = words.get(part) if isinstance(words, Mapping) else None
    return words


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.model}, {trap.provider}: {trap.because}")
def test_the_upstream_hears_what_the_user_means(trap: Trap) -> None:
    model = PACKAGED[trap.model]
    read = read_input(model, asked(trap.model, trap.given))
    found = [upstream for upstream in choose_upstreams(model, read) if upstream.provider == trap.provider]
    assert found, "no such upstream takes this input"
    (upstream,) = found
    assert upstream.endpoint.startswith(trap.endpoint)
    words = bind(upstream, model, read, {})
    assert {path: at(words, path) for path in trap.says} == trap.says
    assert [path for path in trap.is_silent_about if at(words, path) is not None] == []


@pytest.mark.parametrize(("model_id", "given", "words"), REFUSED)
def test_what_no_upstream_makes_is_refused_in_words(model_id: str, given: JsonObject, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_input(PACKAGED[model_id], asked(model_id, given))
    assert words in " ".join(breach.message for breach in caught.value.details)
