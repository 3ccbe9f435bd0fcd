"""The form around an upload: whatever is in the file and however the body is cut, the file comes out; any other bytes
are refused, and never anything worse.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pixeldojo.api.multipart import read_file
from pixeldojo.core.errors import ValidationError

BOUNDARY: Final = "b"
TYPE: Final = f"multipart/form-data; boundary={BOUNDARY}"
HEAD: Final = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
TAIL: Final = f"\r\n--{BOUNDARY}--\r\n".encode()
# Everything that a boundary is made of, so that files are full of what nearly ends them.
NEARLY: Final = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"\r\n--", b"x", b"\0"])).map(b"".join)


async def pieces(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(places):
        yield body[start:end]


async def read(body: bytes, cuts: Sequence[int] = (), content_type: str = TYPE) -> bytes:
    return b"".join([piece async for piece in read_file(pieces(body, cuts), content_type)])


@given(content=NEARLY | st.binary(), cuts=st.lists(st.integers(0, 200), max_size=20))
@settings(max_examples=150)
async def test_the_file_comes_out_as_it_went_in(content: bytes, cuts: list[int]) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + content + b"\r\n":
        return  # a client chooses a boundary that is not in the file
    assert await read(HEAD + content + TAIL, cuts) == content


@given(body=NEARLY | st.binary(), cuts=st.lists(st.integers(0, 200), max_size=5), is_begun=st.booleans())
@example(body=TAIL + HEAD, cuts=[], is_begun=True)
@settings(max_examples=150)
async def test_other_bytes_are_read_or_refused_and_nothing_else(body: bytes, cuts: list[int], is_begun: bool) -> None:
    with suppress(ValidationError):
        await read(HEAD * is_begun + body, cuts)


@given(st.text(st.characters(max_codepoint=255), max_size=60))
@settings(max_examples=100)
async def test_any_content_type_names_a_boundary_or_is_refused(rest: str) -> None:
    for content_type in (f"multipart/form-data{rest}", f"multipart/form-data; boundary={rest}"):
        with pytest.raises(ValidationError):
            await read(b"", content_type=content_type)


@pytest.mark.parametrize(
    "written", ['multipart/form-data; boundary="b"', "Multipart/Form-Data;charset=utf-8; BOUNDARY=b"]
)
async def test_a_boundary_may_be_written_as_the_standard_allows(written: str) -> None:
    assert await read(HEAD + b"content" + TAIL, content_type=written) == b"content"
