"""Texts, bytes and JSON as strangers send them: what nearly fits, what readers disagree on, and anything at all."""

import json
from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

from pixeldojo.core.json_types import JsonValue

ODD: Final = (
    *(
        "",
        "\0",
        "\ud800",
        "\udfff",
        "\r\n",
        "\x7f",
        "\u2028",
        "\ufeff",
        "🦊",
        "é",
        "e\u0301",
        "../..",
        "%00",
        "%2e%2e%2f",
    ),
    *("null", "NaN", "-0", "1e999", "9" * 5_000, "' OR 1=1 --", "${jndi:x}", "{{7*7}}", "__proto__", "a" * 3_000),
)
any_text: Final = st.text(alphabet=st.characters(exclude_categories=[]), max_size=40) | st.sampled_from(ODD)
"""Lone surrogates too, which JSON can carry and UTF-8 cannot."""
header_text: Final = st.text(
    alphabet=st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=80
)
"""What a header can hold as it reaches the app: Latin-1."""
_scalars: Final = st.none() | st.booleans() | st.integers() | st.floats() | any_text


def spliced(*parts: str) -> st.SearchStrategy[str]:
    """Return texts put together of these parts and of others: nearly what is expected, in every wrong order."""
    return st.lists(st.sampled_from([*parts, *ODD]) | st.text(max_size=4), max_size=12).map("".join)


def as_header(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return what is left of the texts in a header."""
    return texts.map(
        lambda text: text.replace("\r", "").replace("\n", "").encode("latin-1", "ignore").decode("latin-1")
    )


def json_values(names: Sequence[str], words: Sequence[JsonValue] = ()) -> st.SearchStrategy[Any]:
    """Return JSON values whose members often have these names, and whose texts are often these words."""
    leaves = _scalars | st.sampled_from(words) if words else _scalars
    keys = st.sampled_from(names) | any_text
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5) | deep(inner),
        max_leaves=16,
    )


def deep(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return values wrapped in many lists or objects."""
    return st.tuples(inner, st.integers(1, 400), st.booleans()).map(_wrapped)


def _wrapped(what: tuple[Any, int, bool]) -> Any:
    value, depth, is_object = what
    for _ in range(depth):
        value = {"a": value} if is_object else [value]
    return value


def json_bytes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Return the values as JSON, sometimes with bytes changed, and bytes that never were JSON."""
    whole = values.map(lambda value: json.dumps(value).encode())
    raw = values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return whole | raw | edited(whole) | st.binary(max_size=60)


def edited(contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return the contents with some bytes changed, put in, repeated, or cut out or off."""
    edit = st.tuples(
        st.sampled_from(["change", "put", "repeat", "cut", "end"]), st.integers(0, 10_000), st.binary(max_size=8)
    )
    return st.tuples(contents, st.lists(edit, min_size=1, max_size=8)).map(_edited)


def _edited(what: tuple[bytes, list[tuple[str, int, bytes]]]) -> bytes:
    content, edits = what
    for how, place, noise in edits:
        # In ten-thousandths of the length, so that an edit means the same for a short file and a long one.
        at = place * len(content) // 10_000
        match how:
            case "change":
                content = content[:at] + noise + content[at + len(noise) :]
            case "put":
                content = content[:at] + noise + content[at:]
            case "repeat":
                content = content[:at] + content[max(0, at - 64) : at] * 4 + content[at:]
            case "cut":
                content = content[:at] + content[at + 1 + 16 * len(noise) :]
            case _:
                content = content[:at]
    return content
