"""Every error a caller of the API can meet, and nothing else.

The tree (code, HTTP status):

    PixelDojoError
    ├── Unauthorized          unauthorized            401
    ├── Forbidden             forbidden               403
    ├── InvalidJson           invalid_json            400
    ├── ValidationError       validation_error        400
    ├── NotFound              not_found               404
    ├── MethodNotAllowed      method_not_allowed      405
    ├── InsufficientCredits   insufficient_credits    402
    ├── Conflict              conflict                409
    ├── Expired               expired                 410
    ├── PayloadTooLarge       payload_too_large       413
    ├── UnsupportedMediaType  unsupported_media_type  415
    ├── IdempotencyMismatch   idempotency_mismatch    422
    ├── RateLimitExceeded     rate_limit_exceeded     429
    ├── CreditError           credit_error            500
    ├── SubmissionFailed      submission_failed       500
    ├── InternalError         internal_error          500
    └── ServiceUnavailable    service_unavailable     503

    JobFailure                (not an HTTP error: why a job ended `failed`)
    ConfigurationError        (not an HTTP error: the operator's set-up is wrong; says how to mend it)

Messages are read by strangers: what was wrong, and what would be right. Never SQL, stacks or internal addresses.
Codes and statuses are those of the API contract, section 1, and of the original specification's table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing wrong with the caller's input.

    Attributes:
        path: Where, as a JSON-pointer-like dotted path: `prompt`, `image_urls[2]`; empty for the whole body.
        message: What was wrong there and what would be right.
    """

    path: str
    message: str


class PixelDojoError(Exception):
    """An error with a public code and HTTP status."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        details: Sequence[Violation] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.headers = dict(headers or {})


class Unauthorized(PixelDojoError):
    """No key, or one that is unknown, revoked or past its expiry."""

    code = "unauthorized"
    status = 401


class Forbidden(PixelDojoError):
    """The key is good but may not do this: a missing scope, or its spend cap is reached."""

    code = "forbidden"
    status = 403


class InvalidJson(PixelDojoError):
    """The body is not JSON, or not a JSON object."""

    code = "invalid_json"
    status = 400


class ValidationError(PixelDojoError):
    """The body is JSON but breaks the rules of the endpoint or the model; `details` lists every violation."""

    code = "validation_error"
    status = 400


class NotFound(PixelDojoError):
    """No such thing, or not the caller's."""

    code = "not_found"
    status = 404


class MethodNotAllowed(PixelDojoError):
    """The path exists, the method does not; the `Allow` header lists what does."""

    code = "method_not_allowed"
    status = 405


class InsufficientCredits(PixelDojoError):
    """The available balance does not cover the price."""

    code = "insufficient_credits"
    status = 402


class Conflict(PixelDojoError):
    """The thing is not in a state for this."""

    code = "conflict"
    status = 409


class Expired(PixelDojoError):
    """It existed and is gone: jobs and assets live a limited time."""

    code = "expired"
    status = 410


class PayloadTooLarge(PixelDojoError):
    """The body is over the limit, which the message names."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaType(PixelDojoError):
    """The body's content type is not one the endpoint reads."""

    code = "unsupported_media_type"
    status = 415


class IdempotencyMismatch(PixelDojoError):
    """The idempotency key was used before with another request."""

    code = "idempotency_mismatch"
    status = 422


class RateLimitExceeded(PixelDojoError):
    """Too many requests; `Retry-After` says when the next one is welcome."""

    code = "rate_limit_exceeded"
    status = 429


class CreditError(PixelDojoError):
    """The ledger could not take the hold for a reason that is ours."""

    code = "credit_error"
    status = 500


class SubmissionFailed(PixelDojoError):
    """The job could not be stored; nothing was charged."""

    code = "submission_failed"
    status = 500


class InternalError(PixelDojoError):
    """A fault of ours; the request id finds it in the log."""


class ServiceUnavailable(PixelDojoError):
    """A part we need does not answer; `Retry-After` says when to come back."""

    code = "service_unavailable"
    status = 503


class JobFailureCode(StrEnum):
    """Why a job ended `failed` (contract, section 4)."""

    INVALID_INPUT = "invalid_input"
    CONTENT_REJECTED = "content_rejected"
    UPSTREAM_ERROR = "upstream_error"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    TIMEOUT = "timeout"
    UPSTREAM_UNKNOWN = "upstream_unknown"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class JobFailure:
    """The `error` member of a failed job: a code for programs, a sentence for people."""

    code: JobFailureCode
    message: str


class ConfigurationError(Exception):
    """The operator's set-up cannot work; the message says what is wrong and how to mend it."""
