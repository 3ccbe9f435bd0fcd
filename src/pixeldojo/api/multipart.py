"""The one file of a multipart/form-data body (RFC 7578), handed on as it comes.

Owns the form: where the file begins and ends. Leaves the file itself, and how long it may be, to whoever takes it.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pixeldojo.core.errors import ValidationError

MEDIA_TYPE = "multipart/form-data"
ENVELOPE_BYTES = 64 * 1024
"""How much the form around a file may add to a body."""


async def read_file(body: AsyncIterator[bytes], content_type: str) -> AsyncGenerator[bytes, None]:
    """Yield the content of the form's one field.

    Raises:
        ValidationError: the form cannot be read, was cut short, or has several fields.
    """
    form = _Form(content_type)
    async for chunk in body:
        for piece in form.read(chunk):
            yield piece
    if not form.is_over:
        raise ValidationError("The multipart body is cut short: its last boundary is missing. Send it whole.")


class _Form:
    """What has been read of a form."""

    def __init__(self, content_type: str) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise ValidationError(
                f"The Content-Type {MEDIA_TYPE} names no boundary; let your HTTP client write this header."
            )
        self.is_over = False
        self._field_count = 0
        self._pieces: list[bytes] = []
        try:
            self._parser = MultipartParser(
                boundary,
                {"on_part_begin": self._begin_field, "on_part_data": self._take, "on_end": self._end},
            )
        except FormParserError as error:
            raise ValidationError(
                "The boundary of the multipart body is too long; 70 characters is the most."
            ) from error

    def read(self, chunk: bytes) -> list[bytes]:
        """Return what a piece of the body holds of the field's content."""
        # What may follow the last boundary means nothing.
        if chunk and not self.is_over:
            try:
                self._parser.write(chunk)
            except FormParserError as error:
                raise ValidationError(
                    "The multipart body cannot be read; send it as `curl -F file=@picture.png` does."
                ) from error
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin_field(self) -> None:
        self._field_count += 1
        if self._field_count > 1:
            raise ValidationError("The multipart body has several fields; send one, `file`, with one file in it.")

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def _end(self) -> None:
        self.is_over = True
