"""Servers that end-to-end tests share: one per test process, as `make run` starts it."""

from collections.abc import Iterator

import pytest
from tests.e2e.harness import Receiver, Server, eventually, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes: mark it so, and give it time."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests may submit to but not stop."""
    with running(tmp_path_factory.mktemp("up") / "data") as started:
        # The server is ready before its own first job has been paid; a test that reads the balance must not meet that.
        eventually((started.data_dir / "first-image.png").exists, what="the first job has ended")
        yield started


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.close()
