"""Credits: every thousandth comes back as it went in, and what is not an amount is refused."""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pixeldojo.core.money import credits_number, credits_text, parse_credits

AMOUNTS = st.integers(-(10**15), 10**15)


@given(AMOUNTS)
@example(10**15)
@example(1)
def test_an_amount_comes_back_from_its_text(millicredits: int) -> None:
    assert parse_credits(credits_text(millicredits)) == millicredits


@given(AMOUNTS)
def test_an_amount_comes_back_from_its_json_number(millicredits: int) -> None:
    number = json.loads(json.dumps(credits_number(millicredits)), parse_float=Decimal)

    assert parse_credits(number) == millicredits


@given(AMOUNTS)
def test_a_whole_amount_is_written_as_an_integer_and_no_other_is(millicredits: int) -> None:
    assert isinstance(credits_number(millicredits), int) == (millicredits % 1_000 == 0)


@pytest.mark.parametrize(
    ("text", "millicredits"),
    [
        ("7.5", 7_500),
        ("0.25", 250),
        ("1", 1_000),
        ("-3", -3_000),
        ("1e3", 1_000_000),
        ("0.001", 1),
        ("2.500000", 2_500),
    ],
)
def test_amounts_as_people_write_them(text: str, millicredits: int) -> None:
    assert parse_credits(text) == millicredits


def test_trailing_zeros_never_make_an_amount_too_fine() -> None:
    assert parse_credits("1." + "0" * 60) == 1_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an amount"),
        ("seven", "write a number such as 7.5"),
        ("7,5", "is not an amount"),
        ("nan", "is not an amount"),
        ("Infinity", "is not an amount"),
        ("0.0001", "at most three decimals"),
        ("1.00000000000000000000000000000000000000000001", "at most three decimals"),
        ("1e999999999", "that can be counted"),
        ("-1000000000001", "that can be counted"),
    ],
)
def test_what_is_not_an_amount_is_refused_and_says_what_would_be(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_credits(text)


@pytest.mark.parametrize(
    ("millicredits", "text"), [(1_000, "1"), (250, "0.25"), (7_500, "7.5"), (-500, "-0.5"), (0, "0")]
)
def test_text_is_what_people_expect(millicredits: int, text: str) -> None:
    assert credits_text(millicredits) == text
