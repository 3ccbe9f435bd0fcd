"""Times in query strings: RFC 3339, taken for UTC where no zone is given."""

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

_SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[ +-]\d\d:\d\d)?", re.ASCII | re.IGNORECASE)


def _read(text: object) -> datetime:
    try:
        if not isinstance(text, str) or not _SHAPE.fullmatch(text):
            raise ValueError
        # A + that was not percent-encoded arrives as a space.
        moment = datetime.fromisoformat(text.upper().replace(" ", "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-07-01T12:00:00Z") from None


Moment: TypeAlias = Annotated[datetime, BeforeValidator(_read)]
