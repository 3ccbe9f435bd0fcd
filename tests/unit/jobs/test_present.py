"""The job as callers see it: the contract's members, output by kind, and a webhook that is never too long."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixeldojo.assets.store import Asset
from pixeldojo.core.errors import JobFailureCode
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job
from pixeldojo.jobs.present import WEBHOOK_BODY_LIMIT, asset_json, job_json, output_json, webhook_body
from pixeldojo.jobs.states import JobStatus, Step
from pixeldojo.webhooks.store import Delivery

NOW = datetime(2026, 5, 4, 12, 0, 0, 250_000, tzinfo=UTC)
JOB = Job(
    id="job_1",
    account_id="acct_1",
    key_id="key_1",
    mode="test",
    model_id="flux-1.1-pro",
    input={"prompt": "a lantern"},
    rehearsal=None,
    webhook_url=None,
    status=JobStatus.PENDING,
    step=Step.SUBMIT,
    next_step_at=NOW,
    lease_owner=None,
    lease_until=None,
    fence=0,
    failures=0,
    deadline_at=NOW,
    cancel_requested_at=None,
    upstream_index=0,
    attempt_id=None,
    operation=None,
    input_files=None,
    progress=None,
    quote={},
    quoted=1_250,
    cost=None,
    error_code=None,
    error_message=None,
    created_at=NOW,
    started_at=None,
    completed_at=None,
    expires_at=NOW,
    purged_at=None,
)
COMPLETED = replace(JOB, status=JobStatus.COMPLETED, step=Step.ENDED, cost=1_000, started_at=NOW, completed_at=NOW)
DELIVERY = Delivery(
    id="whd_1",
    account_id="acct_1",
    job_id="job_1",
    url="https://receiver.test/hook",
    event_type="job.completed",
    body="",
    status="pending",
    attempt_count=2,
    schedule_position=2,
    next_attempt_at=NOW,
    lease_owner=None,
    lease_until=None,
    fence=0,
    created_at=NOW,
    delivered_at=None,
    expires_at=NOW,
)
SHOWN_NOW = "2026-05-04T12:00:00.250Z"


def asset(position: int = 0, kind: str = "image") -> Asset:
    return Asset(
        id=f"asset_{position}",
        job_id="job_1",
        account_id="acct_1",
        position=position,
        kind=kind,
        content_type="image/png",
        extension="png",
        size_bytes=3,
        sha256="0" * 64,
        width=640,
        height=480,
        duration_seconds=None,
        blob_key="assets/job_1/0.png",
        expires_at=NOW,
    )


def url(shown: Asset) -> str:
    return f"https://dojo.test/assets/{shown.file_name}"


def test_a_job_shows_every_member_of_the_contract_in_every_state() -> None:
    members = [
        *("jobId", "status", "model", "mode", "input", "output", "assets", "creditCost", "error", "webhook"),
        *("createdAt", "startedAt", "completedAt", "expiresAt"),
    ]

    for job in (JOB, COMPLETED, replace(COMPLETED, status=JobStatus.FAILED)):
        assert list(job_json(job, [], None, url)) == members


def test_a_waiting_job() -> None:
    assert job_json(JOB, [], None, url) == {
        "jobId": "job_1",
        "status": "pending",
        "model": "flux-1.1-pro",
        "mode": "test",
        "input": {"prompt": "a lantern"},
        "output": None,
        "assets": [],
        "creditCost": 1.25,
        "error": None,
        "webhook": None,
        "createdAt": SHOWN_NOW,
        "startedAt": None,
        "completedAt": None,
        "expiresAt": SHOWN_NOW,
    }


def test_a_completed_job_shows_its_files_and_what_it_cost() -> None:
    shown = job_json(COMPLETED, [asset(0), asset(1)], None, url)

    assert shown["output"] == {"images": [url(asset(0)), url(asset(1))]}
    assert shown["assets"] == [asset_json(asset(0), url), asset_json(asset(1), url)]
    assert (shown["creditCost"], shown["startedAt"], shown["completedAt"]) == (1, SHOWN_NOW, SHOWN_NOW)


def test_a_failed_job_shows_why_and_costs_nothing() -> None:
    failed = replace(
        JOB, status=JobStatus.FAILED, cost=0, error_code=JobFailureCode.TIMEOUT, error_message="It took too long."
    )

    shown = job_json(failed, [], None, url)

    assert shown["error"] == {"code": "timeout", "message": "It took too long."}
    assert (shown["creditCost"], shown["output"], shown["assets"]) == (0, None, [])


@pytest.mark.parametrize(
    ("kind", "member"), [("video", "video"), ("audio", "audio"), ("model3d", "model"), ("image", "images")]
)
def test_output_is_shaped_by_its_kind(kind: str, member: str) -> None:
    address = url(asset(kind=kind))

    assert output_json([asset(kind=kind)], url) == {member: [address] if kind == "image" else address}


def test_an_asset_shows_what_the_contract_lists() -> None:
    assert asset_json(asset(), url) == {
        "url": "https://dojo.test/assets/asset_0.png",
        "kind": "image",
        "contentType": "image/png",
        "sizeBytes": 3,
        "sha256": "0" * 64,
        "width": 640,
        "height": 480,
        "durationSeconds": None,
    }


def test_a_webhook_waits_until_the_job_has_ended_and_then_shows_its_delivery() -> None:
    wanted = replace(JOB, webhook_url="https://receiver.test/hook")

    assert job_json(wanted, [], None, url)["webhook"] == {
        "url": "https://receiver.test/hook",
        "status": "waiting",
        "deliveryId": None,
        "attempts": 0,
    }
    assert job_json(wanted, [], DELIVERY, url)["webhook"] == {
        "url": "https://receiver.test/hook",
        "status": "pending",
        "deliveryId": "whd_1",
        "attempts": 2,
        "nextAttemptAt": SHOWN_NOW,
        "deliveredAt": None,
    }


# The webhook's body.


def body_of(job: Job, assets: list[Asset]) -> dict[str, Any]:
    """Return the body of a job's webhook, as its receiver reads it, after checking its length."""
    body = webhook_body("job.completed", NOW, job_json(job, assets, DELIVERY, url))
    assert len(body.encode()) < WEBHOOK_BODY_LIMIT == 20_000
    read: dict[str, Any] = json.loads(body)
    assert list(read) == ["type", "timestamp", "data"]
    assert (read["type"], read["timestamp"]) == ("job.completed", SHOWN_NOW)
    return read


def test_a_body_with_room_is_the_job_unchanged() -> None:
    assert body_of(COMPLETED, [asset()])["data"] == job_json(COMPLETED, [asset()], DELIVERY, url)


def test_long_texts_in_the_input_are_shortened_and_say_so() -> None:
    long = replace(COMPLETED, input={"prompt": "é" * 30_000, "seed": 7, "deep": {"list": ["x" * 500]}})

    shown = body_of(long, [asset()])["data"]["input"]

    assert shown["prompt"] == "é" * 400 + "… (30000 characters)"
    assert shown["deep"]["list"][0].endswith("… (500 characters)")
    assert shown["seed"] == 7


def test_an_input_of_many_texts_is_left_out_rather_than_the_output() -> None:
    shown = body_of(replace(COMPLETED, input={f"p{n}": "x" * 300 for n in range(200)}), [asset()])["data"]

    assert shown["input"] == {}
    assert shown["output"] == {"images": [url(asset())]}
    assert len(shown["assets"]) == 1


def test_of_many_files_every_address_is_told() -> None:
    files = [asset(number) for number in range(100)]

    shown = body_of(replace(COMPLETED, input={"prompt": "x" * 20_000}), files)["data"]

    assert shown["output"]["images"] == [url(file) for file in files]


def test_half_a_surrogate_pair_does_not_stop_the_webhook() -> None:
    shown = body_of(replace(COMPLETED, input={"prompt": "a \ud800 b \x00"}), [])["data"]

    assert shown["input"] == {"prompt": "a \ufffd b \x00"}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
# Half surrogate pairs too: JSON can spell them, UTF-8 cannot.
ANYTHING = st.characters(exclude_categories=())
LONG_TEXT = st.builds(lambda text, times: text * times, st.text(ANYTHING, max_size=100), st.integers(1, 400))


@settings(max_examples=30, deadline=None)
@given(
    given_input=st.dictionaries(st.text(), JSON | LONG_TEXT),
    message=st.text(ANYTHING, max_size=1_000),
    address=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=2_048),
    count=st.integers(0, 50),
)
def test_a_body_is_always_under_its_limit_and_always_json(
    given_input: JsonObject, message: str, address: str, count: int
) -> None:
    job = replace(
        COMPLETED,
        input=given_input,
        error_code=JobFailureCode.UPSTREAM_ERROR,
        error_message=message,
        webhook_url=address,
    )

    data = body_of(job, [asset(number) for number in range(count)])["data"]

    assert data["jobId"] == "job_1"
    assert len(data["output"].get("images", [])) == count
