"""What DashScope takes: members, types and values of the requests for pictures and clips.

From Model Studio's pages on Wan 2.2 to 2.7, HappyHorse, Qwen-Image and Z-Image, and the types in dashscope 2.0.2. The
service itself overlooks parameters that it does not know; here they are refused, so that none is sent in vain. Its
client sends some of its own words: `function`, `extend_prompt`, `is_async`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.emulators.emulator import Refusal

AT_ONCE: Final = "services/aigc/multimodal-generation/generation"
_CHATTY: Final = frozenset({AT_ONCE, "services/aigc/image-generation/generation"})
_ANIMATING: Final = "services/aigc/image2video/video-synthesis"

Refuse = Callable[[str], Refusal]
_Test = Callable[[Any], bool]


def _whole(least: int, most: int) -> _Test:
    return lambda value: type(value) is int and least <= value <= most


def _one_of(*values: str) -> _Test:
    return lambda value: value in values


def _like(pattern: str) -> _Test:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


_PARAMETERS: Final[Mapping[str, _Test]] = {
    "size": _like(r"[1-9]\d{2,3}\*[1-9]\d{2,3}|[124]K"),
    "n": _whole(1, 12),
    "seed": _whole(0, 2_147_483_647),
    "duration": _whole(0, 15),
    "resolution": _one_of("480P", "580P", "720P", "1080P"),
    "ratio": _like(r"\d{1,2}:\d{1,2}"),
    "negative_prompt": _is_text,
    "prompt_extend": _is_flag,
    "watermark": _is_flag,
    "audio": _is_flag,
    "audio_setting": _one_of("auto", "origin"),
    "shot_type": _one_of("single", "multi"),
    "mode": _one_of("wan-std", "wan-pro"),
    "check_image": _is_flag,
    "enable_interleave": _is_flag,
    "enable_sequential": _is_flag,
    "is_async": _is_flag,
    "thinking_mode": _is_flag,
    "color_palette": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}
_INPUTS: Final[Mapping[str, _Test]] = {
    "prompt": _is_text,
    "negative_prompt": _is_text,
    "extend_prompt": _is_flag,
    "function": _is_text,
    "template": _is_text,
    "watermark": _is_flag,
    **dict.fromkeys(("img_url", "image_url", "video_url", "audio_url", "first_frame_url", "last_frame_url"), _is_text),
    "reference_urls": lambda value: isinstance(value, list) and 1 <= len(value) <= 5 and all(map(_is_text, value)),
    "media": lambda value: isinstance(value, list) and 1 <= len(value) <= 10 and all(map(_is_medium, value)),
}
_MEDIA: Final = frozenset(
    {
        *("first_frame", "last_frame", "first_clip", "video", "driving_audio"),
        *("reference_image", "reference_video", "reference_voice", "reference_audio"),
    }
)
_ADDRESS_MEMBER: Final = re.compile(r"image|url|\w+_urls?|reference_voice")
_ADDRESS: Final = re.compile(r"https?://\S+|oss://\S+|data:image/(?:png|jpeg|jpg|bmp|webp);base64,[A-Za-z0-9+/]+=*")


def check_request(path: str, model: str, body: Mapping[str, Any], refuse: Refuse) -> None:
    """Refuse a body that the service at `path` would not take."""
    unknown = set(body) - {"model", "input", "parameters"}
    given, parameters = body.get("input"), body.get("parameters", {})
    if unknown or not isinstance(given, dict) or not isinstance(parameters, dict):
        raise refuse(f"input and parameters are objects, and there is nothing else; found {sorted(unknown)}")
    _check_members("parameters", parameters, _PARAMETERS, refuse)
    if path in _CHATTY:
        _check_messages(given, refuse)
    else:
        _check_members("input", given, _INPUTS, refuse)
        _check_material(path, model, given, refuse)
    for name, value in _walk(given):
        if _ADDRESS_MEMBER.fullmatch(name) and not _ADDRESS.fullmatch(value):
            raise refuse(f"{name} is no address that can be fetched")


def oss_addresses(body: Mapping[str, Any]) -> list[str]:
    """Return the addresses of stored files."""
    return [value for _, value in _walk(body.get("input")) if value.startswith("oss://")]


def _check_members(where: str, given: Mapping[str, Any], known: Mapping[str, _Test], refuse: Refuse) -> None:
    for name, value in given.items():
        # The client sends a prompt that was left out as null.
        if name not in known or not (known[name](value) or (name, value) == ("prompt", None)):
            raise refuse(f"{where}.{name} is not known, or does not take {value!r}")


def _check_messages(given: Mapping[str, Any], refuse: Refuse) -> None:
    """Refuse what is not one message of a user, with one text and up to nine pictures."""
    messages = given.get("messages")
    message = messages[0] if isinstance(messages, list) and len(messages) == 1 else None
    if set(given) != {"messages"} or not isinstance(message, dict) or message.get("role") != "user":
        raise refuse("input.messages is one message of a user")
    contents = message.get("content")
    parts = [list(part.items()) for part in contents if isinstance(part, dict)] if isinstance(contents, list) else []
    names = [part[0][0] for part in parts if len(part) == 1 and _is_text(part[0][1])]
    if len(names) != len(contents or ()) or names.count("text") != 1 or names.count("image") != len(names) - 1:
        raise refuse("content is one text, and pictures")
    if len(names) > 10:
        raise refuse("content has at most nine pictures")


def _check_material(path: str, model: str, given: Mapping[str, Any], refuse: Refuse) -> None:
    """Refuse a clip without what it is to be made of."""
    if path == _ANIMATING:
        has_all = {"image_url", "video_url"} <= set(given) if "animate" in model else "first_frame_url" in given
    elif "t2v" in model or "t2i" in model:
        has_all = bool(given.get("prompt"))
    elif "r2v" in model:
        has_all = bool(given.get("prompt")) and bool({"reference_urls", "media"} & set(given))
    else:
        has_all = bool({"img_url", "media"} & set(given))
    if not has_all:
        raise refuse("a required member of input is missing")


def _is_medium(value: Any) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"type", "url", "reference_voice"}:
        return False
    return value.get("type") in _MEDIA and _is_text(value.get("url"))


def _walk(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Give every text, with the name of the member that it stands in."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from _walk(member, key)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, name)
