"""A server of this folder's own, and its document, as generators of clients get it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.harness import Server, call, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here starts real processes and may fetch a generator first: mark it so, and give it time."""
    for item in items:
        if "tests/clients" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("up") / "data") as started:
        yield started


@pytest.fixture
def document(server: Server, tmp_path: Path) -> Path:
    """The OpenAPI document in a file."""
    path = tmp_path / "openapi.json"
    path.write_bytes(call("GET", f"{server.url}/api/openapi").body)
    return path
