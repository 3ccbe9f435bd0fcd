"""What is asked at the same time is done in one go: hundreds of attempts at once would each need a transaction.

Whoever asks while nothing is under way is served at once; those who ask meanwhile are served together after it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from pixeldojo.db.engine import is_away

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

_MOST_AT_ONCE = 100


class Together(Generic[Asked, Answer]):
    """Gathers what many ask for."""

    def __init__(self, work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        """`work` gives an answer for each, in their order; it has to be harmless to repeat when it raises."""
        self._work = work
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, one: Asked) -> Answer:
        """Return the answer for one, or raise what kept it from being given."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve(), name="together")
        return await answer

    async def until_idle(self) -> None:
        """Return when nothing is under way."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _serve(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            await self._answer([item for item in batch if not item[1].done()])

    async def _answer(self, batch: Sequence[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._work([one for one, _ in batch])
        except Exception as error:  # noqa: BLE001  handed to those who asked
            if len(batch) == 1 or is_away(error):
                for _, future in batch:
                    _raise(future, error)
                return
            # One of them may be at fault; the others shall not suffer for it.
            for item in batch:
                await self._answer([item])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)


def _raise(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
