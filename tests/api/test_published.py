"""Texts that are made once: by the first who asks, for all who wait, and again only when making failed."""

import asyncio
import threading

import pytest
from fastapi import Request

from pixeldojo.api.published import Published, is_known


def _request(*if_none_match: str) -> Request:
    headers = [(b"if-none-match", value.encode()) for value in if_none_match]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


async def test_it_is_made_once_outside_the_event_loop_however_many_ask_meanwhile() -> None:
    makers: list[int] = []
    may_end = threading.Event()

    def make() -> bytes:
        makers.append(threading.get_ident())
        assert may_end.wait(10)
        return b"text"

    published = Published("text/plain", make)
    waiting = [asyncio.create_task(published.answer(_request())) for _ in range(5)]
    await asyncio.sleep(0)
    may_end.set()
    answers = await asyncio.gather(*waiting)
    assert {bytes(answer.body) for answer in answers} == {b"text"}
    assert len(makers) == 1
    assert makers != [threading.get_ident()]


async def test_a_failure_is_the_askers_and_the_next_one_makes_it_again() -> None:
    outcomes: list[MemoryError | bytes] = [MemoryError("no room"), b"text"]

    def make() -> bytes:
        outcome = outcomes.pop(0)
        if isinstance(outcome, bytes):
            return outcome
        raise outcome

    published = Published("text/plain", make)
    with pytest.raises(MemoryError):
        await published.answer(_request())
    assert (await published.answer(_request())).body == b"text"


async def test_the_tag_is_of_the_content() -> None:
    published = [Published("text/plain", content.encode) for content in ("a", "a", "b")]
    tags = [(await one.answer(_request())).headers["etag"] for one in published]
    assert tags[0] == tags[1] != tags[2]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ((), False),
        (('"a"',), True),
        (('W/"a"',), True),
        (('"b", "a"',), True),
        (('"b"', '"a"'), True),
        (("*",), True),
        (('"b"',), False),
        (("a",), False),
        (('"aa"',), False),
        (('"a',), False),
    ],
)
def test_whoever_names_the_tag_has_the_text(given: tuple[str, ...], known: bool) -> None:
    assert is_known(_request(*given), '"a"') is known
