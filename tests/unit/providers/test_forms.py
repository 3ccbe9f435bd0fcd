"""Forms: whatever stands in fields and files, a server that reads forms gets it back."""

from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.providers.forms import FilePart, form_data

_NAMES = st.text("abc-[]ü", min_size=1, max_size=8)
_FILES = st.builds(FilePart, _NAMES, _NAMES, st.sampled_from(["image/png", "video/mp4"]), st.binary(max_size=60))


@given(fields=st.lists(st.tuples(_NAMES, st.text("xyz \r\n-ü"))), files=st.lists(_FILES, max_size=3))
def test_a_form_is_read_as_it_was_written(fields: list[tuple[str, str]], files: list[FilePart]) -> None:
    content_type, body = form_data(fields, files)
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert len(boundary) <= 70
    parts = body.split(f"--{boundary}".encode())
    assert (parts[0], parts[-1]) == (b"", b"--\r\n")
    contents = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert contents == [*(value.encode() for _, value in fields), *(file.content for file in files)]
