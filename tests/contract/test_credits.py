"""The ledger, on both databases: what is granted, held, captured and released, and that it always adds up."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import Executable, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey, KeyMode, SpendCap, SpendCapPeriod
from pixeldojo.core.errors import Conflict, CreditError, Forbidden, InsufficientCredits
from pixeldojo.core.money import LARGEST_CREDITS
from pixeldojo.credits.audit import LEDGER_CHECKS
from pixeldojo.credits.store import Balance, read_spending
from pixeldojo.db.tables import balances, entries, key_spending, settlements

DAY_SECONDS = 24 * 3_600


async def hold(stores: Stores, key: ApiKey, amount: int, job_id: str = "job_1") -> Balance:
    now = stores.clock.now()
    return await stores.database.write(lambda c: stores.credits.hold(c, key, job_id, amount, now))


async def settle(
    stores: Stores, key: ApiKey, held: int, captured: int, job_id: str = "job_1", *, after_seconds: float = 0
) -> None:
    """Settle what `hold` held; `after_seconds` of the clock have passed since."""
    held_at = stores.clock.now()
    stores.clock.advance(after_seconds)
    await stores.database.write(
        partial(
            stores.credits.settle,
            job_id=job_id,
            account_id=key.account_id,
            key_id=key.id,
            mode=key.mode,
            held=held,
            captured=captured,
            held_at=held_at,
        )
    )


async def execute(stores: Stores, statement: Executable) -> None:
    await stores.database.write(lambda c: c.execute(statement))


async def spent(stores: Stores, key: ApiKey, period: str = "total") -> int:
    async with stores.database.read() as connection:
        return await read_spending(connection, key.id, period)


async def test_an_account_without_a_credit_has_a_balance_of_zero(stores: Stores) -> None:
    key = await stores.new_key()

    assert await stores.credits.balance(key.account_id, "test") == Balance()


async def test_a_grant_is_available_in_its_mode_only(stores: Stores) -> None:
    key = await stores.new_key(granted=7_500)

    assert await stores.credits.balance(key.account_id, "test") == Balance(available=7_500, granted=7_500)
    assert await stores.credits.balance(key.account_id, "live") == Balance()


async def test_what_is_available_can_be_taken_back_and_no_more(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)

    assert await stores.credits.grant(key.account_id, "test", -2_000, "a mistake") == Balance(3_000, granted=3_000)
    with pytest.raises(InsufficientCredits, match="Only 3 credits"):
        await stores.credits.grant(key.account_id, "test", -3_001, "too much")
    assert (await stores.credits.balance(key.account_id, "test")).available == 3_000


async def test_an_account_is_given_no_more_than_can_be_counted_exactly(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)
    most = LARGEST_CREDITS * 1_000

    assert (await stores.credits.grant(key.account_id, "test", most - 1_000, "")).granted == most
    with pytest.raises(Conflict, match=r"1,000,000,000,000 credits in all.*would be 1000000000000\.001"):
        await stores.credits.grant(key.account_id, "test", 1, "")
    await hold(stores, key, 1)

    expected = Balance(available=most - 1, held=1, granted=most)
    assert await stores.credits.balance(key.account_id, "test") == expected
    assert await stores.faults(LEDGER_CHECKS) == []


async def test_a_hold_moves_credits_aside_and_a_settlement_captures_or_releases_them(stores: Stores) -> None:
    key = await stores.new_key(granted=5_000)

    assert await hold(stores, key, 3_000) == Balance(available=2_000, held=3_000, granted=5_000)
    await settle(stores, key, held=3_000, captured=1_250)

    expected = Balance(available=3_750, held=0, captured=1_250, granted=5_000)
    assert await stores.credits.balance(key.account_id, "test") == expected
    assert await stores.faults(LEDGER_CHECKS) == []


@pytest.mark.parametrize(("captured", "kinds"), [(0, {"release"}), (400, {"capture", "release"}), (1_000, {"capture"})])
async def test_a_settlement_writes_only_entries_that_move_something(
    stores: Stores, captured: int, kinds: set[str]
) -> None:
    key = await stores.new_key(granted=1_000)
    await hold(stores, key, 1_000)

    await settle(stores, key, held=1_000, captured=captured)

    async with stores.database.read() as connection:
        found = (await connection.execute(select(entries.c.kind).where(entries.c.job_id == "job_1"))).scalars().all()
    assert set(found) == {"hold"} | kinds


async def test_a_hold_beyond_the_balance_is_refused_and_says_what_is_needed_and_what_there_is(stores: Stores) -> None:
    key = await stores.new_key(granted=2_500)

    with pytest.raises(InsufficientCredits, match=r"costs 2\.501 credits and 2\.5 are available in test mode"):
        await hold(stores, key, 2_501)

    assert await stores.credits.balance(key.account_id, "test") == Balance(available=2_500, granted=2_500)
    assert await stores.count(entries, entries.c.kind == "hold") == 0
    assert await spent(stores, key) == 0


async def test_a_test_key_never_spends_live_credits(stores: Stores) -> None:
    live = await stores.new_key(granted=10_000, mode=KeyMode.LIVE)
    test = await stores.new_key(account_id=live.account_id)

    with pytest.raises(InsufficientCredits, match="0 are available in test mode"):
        await hold(stores, test, 1)


async def test_no_credit_is_spent_twice_however_many_ask_at_once(stores: Stores) -> None:
    key = await stores.new_key(granted=10_000)

    outcomes = await asyncio.gather(
        *(hold(stores, key, 1_000, f"job_{number}") for number in range(30)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Balance) for outcome in outcomes) == 10
    assert sum(isinstance(outcome, InsufficientCredits) for outcome in outcomes) == 20
    assert await stores.credits.balance(key.account_id, "test") == Balance(held=10_000, granted=10_000)
    assert await stores.faults(LEDGER_CHECKS) == []


async def test_a_job_is_settled_once(stores: Stores) -> None:
    key = await stores.new_key(granted=1_000)
    await hold(stores, key, 1_000)

    outcomes = await asyncio.gather(
        settle(stores, key, 1_000, 1_000),
        settle(stores, key, 1_000, 0),
        settle(stores, key, 1_000, 500),
        return_exceptions=True,
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["CreditError", "CreditError", "NoneType"]
    assert await stores.count(settlements) == 1
    assert (await stores.credits.balance(key.account_id, "test")).held == 0
    assert await stores.faults(LEDGER_CHECKS) == []


@pytest.mark.parametrize("captured", [1_001, -1])
async def test_a_capture_is_never_more_than_the_hold_nor_less_than_nothing(stores: Stores, captured: int) -> None:
    key = await stores.new_key(granted=5_000)
    before = await hold(stores, key, 1_000)

    with pytest.raises(CreditError, match="more than was held"):
        await settle(stores, key, held=1_000, captured=captured)

    assert await stores.credits.balance(key.account_id, "test") == before
    assert await stores.count(settlements) == 0


async def test_the_database_itself_refuses_a_ledger_that_does_not_add_up(stores: Stores) -> None:
    """The last line, below every service: a fault in ours cannot make credits out of nothing."""
    key = await stores.new_key(granted=1_000)
    unbalanced = {
        "id": "entry_1",
        "account_id": key.account_id,
        "mode": "test",
        "kind": "grant",
        "note": "",
        "created_at": stores.clock.now(),
        "available": 5,
        "held": 0,
        "revenue": 0,
        "grants": 0,
    }

    for statement in (
        insert(entries).values(unbalanced),
        update(balances).values(available=balances.c.available + 1),
        update(balances).values(available=-1, held=balances.c.held + 1_001),
        update(balances).values(held=-1, available=balances.c.available + 1),
        insert(settlements).values(
            job_id="job_1", account_id="a", mode="test", held=5, captured=6, created_at=stores.clock.now()
        ),
    ):
        with pytest.raises(IntegrityError):
            await execute(stores, statement)


# What a key may spend.


@pytest.mark.parametrize("period", SpendCapPeriod)
async def test_a_key_spends_up_to_its_cap_and_is_told_what_it_spent(stores: Stores, period: SpendCapPeriod) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(2_000, period))
    await hold(stores, key, 1_500, "job_1")

    with pytest.raises(Forbidden, match=r"may spend 2 credits .* has spent 1\.5; this job costs 0\.501\."):
        await hold(stores, key, 501, "job_2")

    await hold(stores, key, 500, "job_2")
    assert await spent(stores, key) == 2_000


async def test_a_job_dearer_than_the_whole_cap_is_refused_from_the_start(stores: Stores) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(2_000, SpendCapPeriod.TOTAL))

    with pytest.raises(Forbidden, match="may spend 2 credits in total and has spent 0"):
        await hold(stores, key, 2_001)

    assert await stores.count(key_spending, key_spending.c.spent != 0) == 0


async def test_a_daily_cap_begins_anew_at_midnight_utc_and_a_total_one_does_not(stores: Stores) -> None:
    daily = await stores.new_key(granted=100_000, spend_cap=SpendCap(1_000, SpendCapPeriod.DAY))
    total = await stores.new_key(granted=100_000, spend_cap=SpendCap(1_000, SpendCapPeriod.TOTAL))
    await hold(stores, daily, 1_000, "job_1")
    await hold(stores, total, 1_000, "job_2")
    stores.clock.advance(DAY_SECONDS / 2 - 1)  # the clock of the tests begins at noon
    with pytest.raises(Forbidden):
        await hold(stores, daily, 1, "job_3")

    stores.clock.advance(1)

    await hold(stores, daily, 1_000, "job_3")
    with pytest.raises(Forbidden):
        await hold(stores, total, 1, "job_4")


async def test_a_cap_is_never_passed_however_many_ask_at_once(stores: Stores) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(7_000, SpendCapPeriod.DAY))

    outcomes = await asyncio.gather(
        *(hold(stores, key, 1_000, f"job_{number}") for number in range(25)), return_exceptions=True
    )

    assert sum(isinstance(outcome, Balance) for outcome in outcomes) == 7
    assert sum(isinstance(outcome, Forbidden) for outcome in outcomes) == 18
    assert await spent(stores, key) == 7_000
    assert (await stores.credits.balance(key.account_id, "test")).held == 7_000


async def test_what_a_job_did_not_cost_is_given_back_to_the_cap_of_its_own_day(stores: Stores) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(2_000, SpendCapPeriod.DAY))
    day = stores.clock.now().date().isoformat()
    await hold(stores, key, 2_000)

    await settle(stores, key, held=2_000, captured=600, after_seconds=DAY_SECONDS)

    assert await spent(stores, key, day) == 600
    assert await spent(stores, key) == 600
    tomorrow = stores.clock.now().date().isoformat()
    assert tomorrow != day
    assert await spent(stores, key, tomorrow) == 0


async def test_a_failed_job_does_not_count_against_the_cap(stores: Stores) -> None:
    key = await stores.new_key(granted=100_000, spend_cap=SpendCap(1_000, SpendCapPeriod.TOTAL))

    for number in range(3):
        await hold(stores, key, 1_000, f"job_{number}")
        await settle(stores, key, held=1_000, captured=0, job_id=f"job_{number}")

    assert await spent(stores, key) == 0


async def test_a_hold_that_the_balance_refuses_does_not_count_against_the_cap(stores: Stores) -> None:
    key = await stores.new_key(granted=500, spend_cap=SpendCap(1_000, SpendCapPeriod.TOTAL))

    with pytest.raises(InsufficientCredits):
        await hold(stores, key, 501)

    assert await spent(stores, key) == 0


async def test_keys_of_one_account_have_caps_of_their_own_and_share_the_balance(stores: Stores) -> None:
    first = await stores.new_key(granted=2_000, spend_cap=SpendCap(1_000, SpendCapPeriod.TOTAL))
    second = await stores.new_key(account_id=first.account_id)
    await hold(stores, first, 1_000, "job_1")

    await hold(stores, second, 1_000, "job_2")

    with pytest.raises(InsufficientCredits):
        await hold(stores, second, 1, "job_3")


async def test_settlements_and_holds_of_many_keys_at_once_do_not_lock_one_another_out(stores: Stores) -> None:
    keys = [await stores.new_key(granted=20_000)]
    keys += [await stores.new_key(account_id=keys[0].account_id) for _ in range(2)]
    for number, key in enumerate(keys * 4):
        await hold(stores, key, 1_000, f"job_{number}")

    await asyncio.gather(
        *(settle(stores, key, 1_000, 400, f"job_{number}") for number, key in enumerate(keys * 4)),
        *(hold(stores, key, 500, f"job_{number}") for number, key in enumerate(keys * 4, start=100)),
    )

    expected = Balance(available=20_000 - 12 * 900, held=12 * 500, captured=12 * 400, granted=20_000)
    assert await stores.credits.balance(keys[0].account_id, "test") == expected
    assert await stores.faults(LEDGER_CHECKS) == []
    async with stores.database.read() as connection:
        total = (await connection.execute(select(func.sum(key_spending.c.spent)))).scalar_one()
    assert total == 2 * 12 * 900  # by day and in total
