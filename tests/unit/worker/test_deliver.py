"""Sending webhooks: what counts as delivered, when the next attempt comes, and how each is signed."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

import pytest
import structlog
from standardwebhooks.webhooks import WebhookVerificationError
from tests.unit.net.loopback import answer as raw_answer
from tests.unit.net.loopback import answering, outbound, serving
from tests.unit.worker.receivers import (
    HOOK,
    ScriptedReceivers,
    answer,
    attempts_of,
    deliverer,
    ended_job,
    now_of,
    until_idle,
)
from tests.unit.worker.workshop import Workshop

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.net.addresses import RefusedAddress
from pixeldojo.net.client import DeliveryFailed, DeliveryFailureKind
from pixeldojo.providers.contract import HttpAnswer
from pixeldojo.webhooks.store import Delivery
from pixeldojo.worker.deliver import LONGEST_RETRY_AFTER_SECONDS, retry_after_seconds

GAPS: Final = [5, 25, 90, 480, 1_200, 5_400, 10_800, 18_000]
"""Seconds between the attempts of the schedule."""

JITTER: Final = 1.1
HOUR: Final = 3_600
NOW: Final = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def receivers(shop: Workshop) -> ScriptedReceivers:
    return ScriptedReceivers(shop)


async def attempt(shop: Workshop, receivers: ScriptedReceivers, delivery: Delivery) -> Delivery:
    """Deliver as a worker that has just started; return the delivery afterwards."""
    await deliverer(shop, receivers).take(delivery.id)
    await until_idle()
    return await now_of(shop, delivery)


def seconds_to_next(shop: Workshop, delivery: Delivery) -> float:
    assert delivery.next_attempt_at is not None
    return (delivery.next_attempt_at - shop.clock.now()).total_seconds()


# What counts as delivered


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_a_2xx_delivers(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers, status: int) -> None:
    receivers.answer_next(answer(status))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert (delivery.status, delivery.next_attempt_at) == ("delivered", None)
    assert (delivery.delivered_at, delivery.attempt_count) == (shop.clock.now(), 1)
    [made] = await attempts_of(shop, delivery)
    assert (made.number, made.status, made.error, made.started_at) == (1, status, None, shop.clock.now())
    assert delivery.lease_owner is None


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 409, 429, 500, 502, 503, 504, 199, 300])
async def test_anything_else_is_tried_again(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers, status: int
) -> None:
    receivers.answer_next(answer(status, location="https://elsewhere.test/"))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert (delivery.status, delivery.delivered_at) == ("pending", None)
    assert 5 <= seconds_to_next(shop, delivery) <= 5 * JITTER
    assert [made.status for made in await attempts_of(shop, delivery)] == [status]
    assert [received.url for received in receivers.received] == [HOOK]


async def test_a_redirect_is_not_followed(shop: Workshop, key: ApiKey) -> None:
    async with serving(answering(raw_answer(200))) as elsewhere:
        redirect = raw_answer(302, location=elsewhere.url())
        async with serving(answering(redirect)) as receiver, outbound() as http:
            delivery = await ended_job(shop, key, receiver.url("/hook"))
            await deliverer(shop, http).take(delivery.id)
            await until_idle()
            assert (receiver.connections, elsewhere.connections) == (1, 0)
    assert (await now_of(shop, delivery)).status == "pending"


@pytest.mark.parametrize(
    "error",
    [
        DeliveryFailed(DeliveryFailureKind.TIMEOUT, "the server did not answer within 15 s"),
        DeliveryFailed(DeliveryFailureKind.NETWORK, "the server did not accept a connection"),
        RefusedAddress("its address is not on the public internet"),
    ],
    ids=str,
)
async def test_no_answer_is_tried_again_and_the_log_says_why(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers, error: Exception
) -> None:
    receivers.answer_next(error)
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert delivery.status == "pending"
    [made] = await attempts_of(shop, delivery)
    assert (made.status, made.error) == (None, str(error))


async def test_gone_ends_the_delivery(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(answer(410, retry_after="5"))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert (delivery.status, delivery.next_attempt_at, delivery.delivered_at) == ("failed", None, None)
    shop.clock.advance(HOUR)
    await attempt(shop, receivers, delivery)
    assert len(receivers.received) == 1


async def test_its_log_lines_name_no_request_that_it_merely_began_in(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    seen: list[dict[str, object]] = []

    async def note() -> HttpAnswer:
        seen.append(structlog.contextvars.get_contextvars())
        return answer(204)

    receivers.answer_next(note)
    with structlog.contextvars.bound_contextvars(request_id="req_of_another", job_id="job_of_another"):
        await attempt(shop, receivers, await ended_job(shop, key))
    assert seen == [{}]


# When the next attempt comes


async def test_the_schedule_is_followed_to_its_end(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(*[answer(500)] * 20)
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    for number, gap in enumerate(GAPS, start=2):
        wait = seconds_to_next(shop, delivery)
        assert gap <= wait <= gap * JITTER
        shop.clock.advance(wait - 0.001)
        assert (await attempt(shop, receivers, delivery)).attempt_count == number - 1
        shop.clock.advance(0.001)
        delivery = await attempt(shop, receivers, delivery)
        assert delivery.attempt_count == number
    assert (delivery.status, delivery.next_attempt_at) == ("failed", None)
    assert len(receivers.received) == 9
    assert [made.number for made in await attempts_of(shop, delivery)] == list(range(1, 10))


async def test_a_late_success_is_a_success(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(*[answer(503)] * 3)
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    for _ in range(3):
        shop.clock.advance(seconds_to_next(shop, delivery))
        delivery = await attempt(shop, receivers, delivery)
    assert (delivery.status, delivery.attempt_count) == ("delivered", 4)


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_receiver_says_when_it_wants_to_be_asked_again(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers, form: str
) -> None:
    later = datetime(2026, 5, 4, 12, 2, 30, tzinfo=UTC)
    receivers.answer_next(answer(503, retry_after="150" if form == "seconds" else format_datetime(later, usegmt=True)))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert seconds_to_next(shop, delivery) == 150


async def test_it_cannot_make_it_sooner(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(answer(503, retry_after="1"))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert seconds_to_next(shop, delivery) >= 5


async def test_an_absurd_wait_does_not_end_the_delivery(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    receivers.answer_next(answer(503, retry_after="999999999"))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    assert seconds_to_next(shop, delivery) == LONGEST_RETRY_AFTER_SECONDS


async def test_none_comes_after_the_jobs_expiry(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    receivers.answer_next(*[answer(503, retry_after=str(5 * HOUR))] * 9)
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    for _ in range(4):
        shop.clock.advance(seconds_to_next(shop, delivery))
        delivery = await attempt(shop, receivers, delivery)
    # 20 hours have gone by, and the job lives for 24.
    assert (delivery.status, delivery.next_attempt_at, delivery.attempt_count) == ("failed", None, 5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        (" 30 ", 30),
        ("30.5", None),
        ("-5", None),
        ("1e3", None),
        ("²", None),
        ("٣", None),
        ("soon", None),
        ("9" * 400, LONGEST_RETRY_AFTER_SECONDS),
        ("Mon, 04 May 2026 12:00:10 GMT", 10),
        ("Monday, 04-May-26 12:00:10 GMT", 10),
        ("Mon May  4 12:00:10 2026", 10),
        ("Mon, 04 May 2026 14:00:10 +0200", 10),
        ("Mon, 04 May 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -2359", LONGEST_RETRY_AFTER_SECONDS),
        ("Mon, 04 May 2026 12:00:10 +99999999999999", None),
        ("Mon, 99 May 2026 12:00:10 GMT", None),
    ],
)
def test_what_a_receiver_asks_for_is_read(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


# How it is signed


async def test_the_body_is_the_job_and_verifies(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    [secret] = await shop.stores.accounts.webhook_secrets(key.account_id)
    [received] = receivers.received
    event = received.verify(secret)
    assert (event["type"], event["data"]["jobId"]) == ("job.completed", delivery.job_id)
    [asset] = await shop.assets(delivery.job_id)
    assert event["data"]["output"] == {"images": [shop.stores.assets.url(asset)]}
    assert received.headers["content-type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        received.verify("whsec_" + "A" * 43 + "=")


async def test_every_attempt_has_the_same_id_and_body_and_its_own_time(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    receivers.answer_next(answer(500))
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    shop.clock.advance(seconds_to_next(shop, delivery))
    delivery = await attempt(shop, receivers, delivery)
    shop.clock.advance(HOUR)
    await shop.stores.webhooks.replay(delivery.id)
    await attempt(shop, receivers, delivery)
    [secret] = await shop.stores.accounts.webhook_secrets(key.account_id)
    assert len(receivers.received) == 3
    for received in receivers.received:
        received.verify(secret)
        assert received.headers["webhook-id"] == delivery.id
        assert received.headers["webhook-timestamp"] == str(int(received.at.timestamp()))
    assert len({received.body for received in receivers.received}) == 1
    assert len({received.headers["webhook-timestamp"] for received in receivers.received}) == 3


async def test_while_a_secret_is_rotated_both_verify(shop: Workshop, key: ApiKey, receivers: ScriptedReceivers) -> None:
    [old] = await shop.stores.accounts.webhook_secrets(key.account_id)
    new = (await shop.stores.accounts.rotate_webhook_secret(key.account_id)).secret
    await attempt(shop, receivers, await ended_job(shop, key))
    shop.clock.advance(25 * HOUR)
    await attempt(shop, receivers, await ended_job(shop, key))
    [during, after] = receivers.received
    during.verify(old)
    during.verify(new)
    after.verify(new)
    with pytest.raises(WebhookVerificationError):
        after.verify(old)


# What is over


async def test_a_delivery_that_is_done_is_not_sent_again(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    delivery = await attempt(shop, receivers, await ended_job(shop, key))
    await attempt(shop, receivers, delivery)
    await deliverer(shop, receivers).take("whd_of_nobody")
    assert len(receivers.received) == 1


async def test_a_delivery_of_a_purged_job_is_not_sent(
    shop: Workshop, key: ApiKey, receivers: ScriptedReceivers
) -> None:
    delivery = await ended_job(shop, key)
    shop.clock.advance(25 * HOUR)
    await shop.stores.ending.purge_expired(10)
    await attempt(shop, receivers, delivery)
    assert receivers.received == []
