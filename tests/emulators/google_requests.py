"""What Google's API takes: members, types and values of the requests for pictures and clips.

From the types in google-genai 2.34.0 and ai.google.dev's pages on images and videos. Both alphabets of base64 and both
ways to write a member's name are known to protocol buffers' JSON, and Google's client uses them all.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

_RATIOS: Final = frozenset({"16:9", "9:16"})
_PARAMETERS: Final = frozenset(
    {
        *("sampleCount", "durationSeconds", "aspectRatio", "resolution", "personGeneration", "negativePrompt"),
        "enhancePrompt",
    }
)
_INSTANCE: Final = frozenset({"prompt", "image", "lastFrame", "referenceImages", "video"})
_CONTENT: Final = frozenset({"contents", "generationConfig", "safetySettings", "systemInstruction", "tools"})
_GENERATION: Final = frozenset({"responseModalities", "imageConfig", "seed", "temperature", "candidateCount"})
_IMAGE_CONFIG: Final = frozenset({"aspectRatio", "imageSize"})
_PICTURE_RATIOS: Final = frozenset({"1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"})
_PICTURE_SIZES: Final = frozenset({"1K", "2K", "4K"})
# Of the models that catalogs name, this one alone draws narrow pictures and small ones.
_WIDER: Final = "3.1-flash-image"
_NARROW_RATIOS: Final = frozenset({"1:4", "4:1", "1:8", "8:1"})
_SMALL_SIZES: Final = frozenset({"512"})
_MOST_PICTURES: Final = 14
_CATEGORIES: Final = frozenset(
    {"HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY"}
)
_THRESHOLDS: Final = frozenset(
    {"BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"}
)


class InvalidArgument(ValueError):
    """The API would not take it; the message is what it says."""


def check_clip(body: Mapping[str, Any]) -> None:
    """Raise unless `predictLongRunning` takes the body."""
    _check_known(body, {"instances", "parameters", "webhookConfig"}, "")
    instances = body.get("instances")
    if not isinstance(instances, list) or len(instances) != 1 or not isinstance(instances[0], dict):
        raise InvalidArgument("instances must hold one instance.")
    _check_instance(instances[0])
    _check_parameters(body.get("parameters", {}))
    if any(not str(uri).startswith("https://") for uri in body.get("webhookConfig", {}).get("uris", [])):
        raise InvalidArgument("webhook_config.uris must begin with https://")


def check_drawing(body: Mapping[str, Any], model: str) -> None:
    """Raise unless `generateContent` of a model that draws takes the body."""
    _check_known(body, _CONTENT, "")
    _check_contents(body.get("contents"))
    _check_picture(body.get("generationConfig", {}), model)
    _check_safety(body.get("safetySettings", []))


def _check_known(given: object, known: frozenset[str] | set[str], place: str) -> None:
    if not isinstance(given, dict):
        raise InvalidArgument(f"Invalid value at '{place}'.")
    for name in sorted(set(given) - known):
        raise InvalidArgument(f'Invalid JSON payload received. Unknown name "{place}{name}": Cannot find field.')


def _check_instance(instance: Mapping[str, Any]) -> None:
    _check_known(instance, _INSTANCE, "instances[0].")
    if not isinstance(instance.get("prompt", ""), str) or not instance.keys() & {"prompt", "image", "video"}:
        raise InvalidArgument("An instance needs a prompt, an image or a video.")
    for name in ("image", "lastFrame"):
        if name in instance:
            _check_file(instance[name], "bytesBase64Encoded", name)
    for reference in instance.get("referenceImages", []):
        _check_known(reference, {"image", "referenceType"}, "referenceImages.")
        _check_file(reference.get("image"), "bytesBase64Encoded", "referenceImages")
        # Google's client writes it large, others small.
        if str(reference.get("referenceType")).lower() not in {"asset", "style"}:
            raise InvalidArgument("referenceType must be asset or style.")


def _check_file(given: object, member: str, place: str) -> None:
    _check_known(given, {member, "mimeType", "mime_type"}, f"{place}.")
    assert isinstance(given, dict)
    try:
        content = base64.b64decode(given.get(member, "").replace("-", "+").replace("_", "/"), validate=True)
    except (AttributeError, binascii.Error, ValueError):
        content = b""
    if not content or not str(given.get("mimeType") or given.get("mime_type")).startswith("image/"):
        raise InvalidArgument(f"{place} needs a mimeType and base64.")


def _check_contents(contents: object) -> None:
    """Refuse what is not turns of words and pictures."""
    if not isinstance(contents, list) or not contents:
        raise InvalidArgument("contents are missing.")
    pictures = 0
    for content in contents:
        _check_known(content, {"role", "parts"}, "contents.")
        if content.get("role", "user") not in {"user", "model"}:
            raise InvalidArgument("Please use a valid role: user, model.")
        if not content.get("parts"):
            raise InvalidArgument("contents.parts must not be empty.")
        for part in content["parts"]:
            _check_known(part, {"text", "inlineData"}, "parts.")
            if "inlineData" in part:
                _check_file(part["inlineData"], "data", "inlineData")
                pictures += 1
            elif not part.get("text"):
                raise InvalidArgument("a part must have one initialized field: data.")
    if pictures > _MOST_PICTURES:
        raise InvalidArgument(f"at most {_MOST_PICTURES} images are supported.")


def _check_picture(config: Mapping[str, Any], model: str) -> None:
    """Refuse shapes and sizes that a model does not draw."""
    _check_known(config, _GENERATION, "generationConfig.")
    picture = config.get("imageConfig", {})
    _check_known(picture, _IMAGE_CONFIG, "imageConfig.")
    is_wider = _WIDER in model
    if not set(config.get("responseModalities", [])) <= {"TEXT", "IMAGE"}:
        raise InvalidArgument("generationConfig.responseModalities must be TEXT or IMAGE.")
    if picture.get("aspectRatio", "1:1") not in _PICTURE_RATIOS | (_NARROW_RATIOS if is_wider else frozenset()):
        raise InvalidArgument("aspect_ratio must be one of the supported ones.")
    if picture.get("imageSize", "1K") not in _PICTURE_SIZES | (_SMALL_SIZES if is_wider else frozenset()):
        raise InvalidArgument("image_size must be one of the supported ones.")


def _check_safety(settings: object) -> None:
    """Refuse categories and thresholds that the API does not know, and a category twice."""
    if not isinstance(settings, list):
        raise InvalidArgument("safetySettings must be a list.")
    for setting in settings:
        _check_known(setting, {"category", "threshold"}, "safetySettings.")
        category = str(setting.get("category")).removeprefix("HARM_CATEGORY_")
        if category not in _CATEGORIES or setting.get("threshold") not in _THRESHOLDS:
            raise InvalidArgument("Invalid value at 'safetySettings'.")
    if len({setting["category"] for setting in settings}) < len(settings):
        raise InvalidArgument("safety_settings: element predicate failed: only one setting per category.")


def _check_parameters(parameters: object) -> None:
    _check_known(parameters, _PARAMETERS, "parameters.")
    assert isinstance(parameters, dict)
    allowed = {
        "sampleCount": parameters.get("sampleCount", 1) in range(1, 5),
        "durationSeconds": parameters.get("durationSeconds", 8) in {4, 6, 8},
        "aspectRatio": parameters.get("aspectRatio", "16:9") in _RATIOS,
        "resolution": parameters.get("resolution", "720p") in {"720p", "1080p", "4k"},
        "negativePrompt": isinstance(parameters.get("negativePrompt", ""), str),
    }
    for name, is_allowed in allowed.items():
        if not is_allowed:
            raise InvalidArgument(f"parameters.{name} is out of bounds.")
