"""Forms: whatever stands in fields and files, a server that reads forms gets it back."""

from hypothesis import given
from hypothesis import strategies as st

from pixeldojo.providers.forms import FormFile, encode_form

_NAMES = st.text("abc-[]ü", min_size=1, max_size=8)
_FILES = st.builds(FormFile, _NAMES, _NAMES, st.sampled_from(["image/png", "video/mp4"]), st.binary(max_size=60))


@given(fields=st.dictionaries(_NAMES, st.text("xyz \r\n-ü")), files=st.lists(_FILES, max_size=3))
def test_a_form_is_read_as_it_was_written(fields: dict[str, str], files: list[FormFile]) -> None:
    content_type, body = encode_form(fields, files)
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    assert len(boundary) <= 70
    parts = body.split(f"--{boundary}".encode())
    assert (parts[0], parts[-1]) == (b"", b"--\r\n")
    contents = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:-1]]
    assert contents == [*(value.encode() for value in fields.values()), *(file.content for file in files)]


def test_a_name_cannot_end_its_line() -> None:
    _, body = encode_form({'a"\r\nX: y': "1"}, [FormFile("file", 'b"; name="c', "image/png", b"2")])
    assert b'name="a%22%0D%0AX: y"\r\n\r\n1\r\n' in body
    assert b'filename="b%22; name=%22c"\r\nContent-Type: image/png\r\n\r\n2\r\n' in body
