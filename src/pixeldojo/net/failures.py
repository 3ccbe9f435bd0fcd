"""What went wrong on the wire, in words that a stranger may read.

Owns the sentences for aiohttp's errors: never an address, a header or a URL, which may carry a key. What a failure
means (unavailable, unknown, try again) is for the caller, who knows what was being attempted.
"""

import errno
from typing import Final, TypeVar

import aiohttp

_Failure = TypeVar("_Failure", bound=Exception)

_SENTENCES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (aiohttp.ClientConnectorDNSError, "has a name that cannot be resolved"),
    (aiohttp.ClientConnectorCertificateError, "showed a certificate that is not valid"),
    (aiohttp.ClientSSLError, "did not complete the TLS handshake"),
    (aiohttp.ConnectionTimeoutError, "did not accept a connection in time"),
    (aiohttp.ClientConnectorError, "did not accept a connection"),
    (TimeoutError, "did not answer in time"),
    (aiohttp.ClientPayloadError, "closed the connection in the middle of its answer"),
    (aiohttp.ClientResponseError, "answered with something that is not valid HTTP"),
    (aiohttp.InvalidURL, "has an address that is not valid"),
)
"""The first that fits holds: derived classes stand before their bases."""


def describe_failure(error: BaseException) -> str:
    """Return what happened, to go on after `the server …`: `did not accept a connection`."""
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return sentence + _certificate_detail(error)
    return "closed the connection without an answer"


def note_failure(failure: _Failure, error: BaseException) -> _Failure:
    """Add to `failure`, for the operator's log, what kind of error it stands for, and return it.

    Raise it `from None`: aiohttp's own text holds the whole URL, and some upstreams want their key there.
    """
    number = error.errno if isinstance(error, OSError) else None
    reason = errno.errorcode.get(number, str(number)) if number is not None else "no system error"
    failure.add_note(f"{type(error).__name__}: {reason}")
    return failure


def _certificate_detail(error: BaseException) -> str:
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ""
    message = getattr(error.certificate_error, "verify_message", "")
    return f" ({message})" if message else ""
