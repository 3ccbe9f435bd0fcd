"""Every trouble with every service: the job ends as it should, the caller is charged rightly, nothing is paid twice."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from tests.clock import FakeClock
from tests.emulators.trouble import Trouble
from tests.providers.pairs import DONE, PAIRS, SECOND_WAYS, Ending, Pair
from tests.providers.stand import Stand, open_stand

from pixeldojo.jobs.story import JobStories

NOT_TAKEN: Final = Ending("upstream_unavailable", 0)
USUAL: Final[Mapping[str, Ending]] = {
    "": DONE,
    # Nobody can tell whether the service has the work: never sent again.
    Trouble.SILENT: Ending("upstream_unknown", 0),
    Trouble.CUT_OFF: Ending("upstream_unknown", 0),
    Trouble.BROKEN: Ending("upstream_unknown", 0),
    Trouble.ACCEPTED_SILENT: Ending("upstream_unknown", 1),
    Trouble.ACCEPTED_CUT_OFF: Ending("upstream_unknown", 1),
    Trouble.ACCEPTED_HTML: Ending("upstream_unknown", 1),
    Trouble.ACCEPTED_GATEWAY: Ending("upstream_unknown", 1),
    # It surely was not taken: sent again, or given up.
    Trouble.BUSY: DONE,
    Trouble.BUSY_QUIET: DONE,
    Trouble.AWAY: DONE,
    f"{Trouble.AWAY}*99": NOT_TAKEN,
    f"{Trouble.BUSY}*99": NOT_TAKEN,
    Trouble.QUOTA: NOT_TAKEN,
    Trouble.WRONG_KEY: NOT_TAKEN,
    Trouble.BAD_INPUT: Ending("invalid_input", 0),
    # Asking costs nothing, so it is asked again.
    Trouble.ASKED_SILENT: DONE,
    Trouble.ASKED_CUT_OFF: DONE,
    Trouble.ASKED_BUSY: DONE,
    Trouble.ASKED_BUSY_QUIET: DONE,
    f"{Trouble.ASKED_BROKEN}*6": DONE,
    Trouble.ASKED_HTML: DONE,
    Trouble.ODD_STATUS: DONE,
    Trouble.ENDLESS: Ending("timeout", 1),
    # The service says that it ended badly.
    Trouble.FAILED: Ending("upstream_error", 1),
    Trouble.STOPPED: Ending("upstream_error", 1),
    Trouble.MODERATED: Ending("content_rejected", 1),
    Trouble.PARTIAL: Ending(None, 1, 1),
    Trouble.EMPTY: Ending("upstream_error", 1),
    # It says that it ended well, and the files are not there.
    Trouble.FILE_GONE: Ending("upstream_error", 1),
    Trouble.FILE_CUT_OFF: Ending("upstream_error", 1),
    Trouble.FILE_TRUNCATED: Ending("upstream_error", 1),
    Trouble.FILE_HTML: Ending("upstream_error", 1),
    Trouble.FILE_MISLABELLED: DONE,
}
_IMPATIENCE: Final[Mapping[Trouble | None, dict[str, float]]] = {
    Trouble.SILENT: {"POST": 0.3},
    Trouble.ACCEPTED_SILENT: {"POST": 0.3},
}
CHARGED_ALL_THE_SAME: Final = {
    "fal": "1.25 s of inference",
    "replicate": "1.25 s of prediction",
    "runware": "0.0013 USD",
    "xai": "200000000 ticks of a US dollar",
    "google pictures": "1302 tokens",
}
CASES: Final = [
    pytest.param(pair, words, id=f"{pair.name}{pair.way}-{words or 'no trouble'}")
    for pair in (*PAIRS, *SECOND_WAYS)
    for words in USUAL
    if words.partition("*")[0] not in pair.lacks
]


@pytest.fixture
async def stand(pair: Pair, sqlite_address: str, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Stand]:
    async with open_stand([pair], sqlite_address, clock, tmp_path) as stand:
        yield stand


@pytest.mark.parametrize(("pair", "words"), CASES)
async def test_a_trouble_ends_as_it_should(stand: Stand, pair: Pair, words: str) -> None:
    trouble = Trouble(words.partition("*")[0]) if words else None
    expected = pair.otherwise.get(trouble, USUAL[words]) if trouble else DONE
    if expected is DONE:
        expected = pair.done
    emulator, http = stand.emulators[pair.name], stand.http[pair.name]
    http.seconds = {pair.asks_by: 0.3} if trouble == Trouble.ASKED_SILENT else _IMPATIENCE.get(trouble, {})
    prompt = f"a lantern, trouble:{words}" if words else "a lantern"
    job_id, key = await stand.order(pair, prompt=prompt, timeout_seconds=20 if trouble == Trouble.ENDLESS else 600)
    quoted = (await stand.job(job_id)).quoted

    await stand.carry_over_waits(job_id)

    status, code, cost = await stand.ending(key, job_id)
    found = Ending(code, len(emulator.paid), len(await stand.assets(job_id)))
    assert found == expected
    assert status == ("completed" if expected.code is None else "failed")
    assert cost == quoted * expected.outputs // pair.outputs
    assert stand.left_behind == []


@pytest.mark.parametrize(
    ("pair", "cost"),
    [(pair, cost) for pair in (*PAIRS, *SECOND_WAYS) if (cost := CHARGED_ALL_THE_SAME.get(pair.name + pair.way))],
    ids=lambda value: f"{value.name}{value.way}" if isinstance(value, Pair) else "",
)
async def test_the_operator_reads_what_the_service_charges_for_what_it_moderated(
    stand: Stand, pair: Pair, cost: str
) -> None:
    job_id, key = await stand.order(pair, prompt=f"a lantern, trouble:{Trouble.MODERATED}")
    await stand.carry(job_id)
    assert await stand.ending(key, job_id) == ("failed", "content_rejected", 0)
    story = await JobStories(stand.stores.database).tell(job_id)
    [told] = [moment.what for moment in story.moments if "content_rejected" in moment.what and "submit" in moment.what]
    assert f"upstream cost {cost}" in told


@pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if pair.name in {"fal", "replicate"}], ids=lambda pair: pair.name
)
async def test_the_operator_reads_by_what_the_service_knows_the_work_and_what_it_charges(
    stand: Stand, pair: Pair
) -> None:
    job_id, _ = await stand.order(pair, prompt=f"a lantern, trouble:{Trouble.BUSY}")
    await stand.carry(job_id)
    [work] = stand.emulators[pair.name].paid
    story = await JobStories(stand.stores.database).tell(job_id)
    told = [moment.what for moment in story.moments if moment.what.startswith("submit ")]
    assert [words.split()[2] for words in told] == ["to", "over_limit:", "to", "finished,"]
    assert f"upstream id {work.id}" in told[3]
    assert "upstream cost 1.25 s" in told[3]
    # Every file was ours before the job was said to be completed.
    for asset in await stand.assets(job_id):
        content = await stand.stores.blobs.read_whole(asset.blob_key, max_bytes=asset.size_bytes)
        assert hashlib.sha256(content).hexdigest() == asset.sha256
