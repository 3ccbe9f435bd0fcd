"""The strict reading of data URIs."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.net.data_uri import InvalidDataUri, read_data_uri


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        ("data:image/png;base64,aGk=", "image/png"),
        ("DATA:Image/PNG;BASE64,aGk=", "image/png"),
        ("data:audio/ogg;codecs=opus;base64,aGk=", "audio/ogg"),
        ('data:video/mp4;codecs="avc1.42E01E";base64,aGk=', "video/mp4"),
        ("data:image/svg+xml;charset=utf-8;base64,aGk=", "image/svg+xml"),
        ("data:;base64,aGk=", "text/plain"),
    ],
)
def test_the_bytes_and_the_declared_type(text: str, declared: str) -> None:
    assert read_data_uri(text, 100) == (b"hi", declared)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a base64 data URI"),
        ("https://example.com/", "not a base64 data URI"),
        ("data:", "not a base64 data URI"),
        ("data:image/png;base64", "not a base64 data URI"),
        ("data:image/png,aGk=", "not a base64 data URI"),
        ("data:image;base64,aGk=", "not a base64 data URI"),
        ("data:image/png;base64;x=y,aGk=", "not a base64 data URI"),
        (" data:image/png;base64,aGk=", "not a base64 data URI"),
        ("data:image/png\n;base64,aGk=", "not a base64 data URI"),
        ("data:" + "a" * 600 + "/b;base64,aGk=", "not a base64 data URI"),
        ("data:image/png;base64,aGk", "base64 is broken"),
        ("data:image/png;base64,aG k=", "base64 is broken"),
        ("data:image/png;base64,aGk=\n", "base64 is broken"),
        ("data:image/png;base64,aGk%3D", "base64 is broken"),
        ("data:image/png;base64,_-__", "base64 is broken"),
        ("data:image/png;base64,é===", "base64 is broken"),
        ("data:image/png;base64,", "empty"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(InvalidDataUri, match=told):
        read_data_uri(text, 100)


def test_the_limit_is_exact_and_held_before_decoding() -> None:
    exact = "data:image/png;base64," + base64.b64encode(bytes(100)).decode()
    assert len(read_data_uri(exact, 100)[0]) == 100
    for limit in (99, 98, 97, 50, 1):
        with pytest.raises(InvalidDataUri, match="limit"):
            read_data_uri(exact, limit)
    nearly = "data:image/png;base64," + base64.b64encode(bytes(99)).decode()
    with pytest.raises(InvalidDataUri, match="99 bytes; the limit is 98"):
        read_data_uri(nearly, 98)
    with pytest.raises(InvalidDataUri, match="limit"):
        read_data_uri("data:image/png;base64," + "!" * 10_000, 100)


@given(st.binary(min_size=1, max_size=300))
def test_what_was_encoded_comes_back(content: bytes) -> None:
    text = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
    assert read_data_uri(text, len(content)) == (content, "application/octet-stream")
