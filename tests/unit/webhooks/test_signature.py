"""Our signatures against the reference verifier of Standard Webhooks."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from pixeldojo.webhooks.signature import headers, new_secret, sign

BODY = '{"type":"job.completed","data":{"prompt":"Grüße"}}'.encode()
ID = "whd_06fa3"


def now() -> datetime:
    # The reference verifier reads the machine's clock, so the time of these tests is the real one.
    return datetime.now(UTC)


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(size))).decode()


def test_the_reference_verifier_accepts_what_we_sign() -> None:
    secret = new_secret()
    assert Webhook(secret).verify(BODY, headers([secret], ID, now(), BODY)) == json.loads(BODY)


def test_the_vector_of_the_reference_library() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    moment = datetime.fromtimestamp(1_614_265_330, UTC)
    body = b'{"test": 2432232314}'
    assert sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", moment, body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_the_headers_are_those_of_the_standard() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    secret = secret_of(32)
    assert headers([secret], ID, moment, BODY) == {
        "content-type": "application/json",
        "webhook-id": ID,
        "webhook-timestamp": str(int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp())),
        "webhook-signature": sign([secret], ID, moment, BODY),
    }
    elsewhere = moment.astimezone(timezone(timedelta(hours=9)))
    assert sign([secret], ID, elsewhere, BODY) == sign([secret], ID, moment, BODY)


def test_while_a_secret_rotates_either_verifies() -> None:
    new, old, other = new_secret(), new_secret(), new_secret()
    sent = headers([new, old], ID, now(), BODY)
    assert len(sent["webhook-signature"].split(" ")) == 2
    for secret in (new, old):
        Webhook(secret).verify(BODY, sent)
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(BODY, sent)


def test_anything_tampered_with_fails() -> None:
    secret = new_secret()
    sent = headers([secret], ID, now(), BODY)
    later = str(int(sent["webhook-timestamp"]) + 1)
    for body, change in (
        (BODY + b" ", {}),
        (BODY.replace(b"completed", b"failed"), {}),
        (BODY, {"webhook-timestamp": later}),
        (BODY, {"webhook-id": ID + "x"}),
        (BODY, {"webhook-signature": "v1,AAAA"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, sent | change)


def test_an_old_signature_fails() -> None:
    secret = new_secret()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers([secret], ID, now() - timedelta(minutes=6), BODY))


def test_new_secrets_are_32_random_bytes() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in secrets} == {32}


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_the_standards_sizes_sign(size: int) -> None:
    Webhook(secret_of(size)).verify(BODY, headers([secret_of(size)], ID, now(), BODY))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        secret_of(23),
        secret_of(65),
        secret_of(32).removeprefix("whsec_"),
        "whsec_not base64!",
        secret_of(32)[:-1],
        "whpk_" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_other_secrets_are_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes") as caught:
        sign([secret], ID, now(), BODY)
    assert len(secret) < 10 or secret not in str(caught.value)


def test_what_cannot_be_signed_is_refused() -> None:
    secret = new_secret()
    with pytest.raises(ValueError, match="at least one"):
        sign([], ID, now(), BODY)
    for message_id in ("", "with.dot", "with space", "é", "x\n", "x" * 256):
        with pytest.raises(ValueError, match="webhook id"):
            sign([secret], message_id, now(), BODY)
    with pytest.raises(ValueError, match="zone"):
        sign([secret], ID, datetime(2026, 1, 1), BODY)  # noqa: DTZ001 -- the naive time is the case
