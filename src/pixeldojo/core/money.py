"""Credits as integers: one credit is 1,000 millicredits, and no float ever touches an amount.

Outside, credits are JSON numbers with at most three decimals (contract, section 1).
"""

from decimal import Decimal, InvalidOperation

MILLICREDITS_PER_CREDIT = 1_000
_SMALLEST_CREDITS = Decimal("0.001")
# Up to here a JSON number tells every thousandth apart; no account is given more in all.
LARGEST_CREDITS = 1_000_000_000_000


def parse_credits(value: str | int | Decimal) -> int:
    """Read an amount in credits and return it in millicredits.

    Raises:
        ValueError: if it is not a number, is over a million million credits, or has more than three decimals.
    """
    given = str(value)[:40]
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError(f"{given!r} is not an amount of credits; write a number such as 7.5")
    if amount.copy_abs() > LARGEST_CREDITS:
        raise ValueError(f"{given} credits is more than the {LARGEST_CREDITS:,} that can be counted")
    if amount % _SMALLEST_CREDITS:
        raise ValueError(f"{given} credits is finer than a thousandth of a credit; use at most three decimals")
    return int(amount * MILLICREDITS_PER_CREDIT)


def credits_number(millicredits: int) -> int | float:
    """Return the JSON number for an amount: an integer when whole, else at most three decimals.

    The division happens only here, at the edge, where the number is printed and never computed with.
    """
    whole, rest = divmod(millicredits, MILLICREDITS_PER_CREDIT)
    return whole if rest == 0 else millicredits / MILLICREDITS_PER_CREDIT


def credits_text(millicredits: int) -> str:
    """Return the amount as people read it: `1`, `0.25`, `7.5`."""
    return f"{credits_number(millicredits)}"
