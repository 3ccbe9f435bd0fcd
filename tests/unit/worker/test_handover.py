"""How large a file may be that an upstream cannot fetch: as large as the way that it goes allows."""

from pathlib import Path

import pytest
from tests.unit.worker.workshop import ScriptedProvider

from pixeldojo.blobs import open_blobs
from pixeldojo.providers.contract import HttpClient, InputFile
from pixeldojo.worker.handover import MediaHandover


class Uploading(ScriptedProvider):
    """An upstream that wants every file uploaded."""

    def wants_upload(self, file: InputFile) -> bool:
        return True

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        return "uploaded"


@pytest.mark.parametrize(
    ("provider", "address", "size_bytes", "most"),
    [
        (ScriptedProvider("alpha"), None, 25_000_000, None),
        (ScriptedProvider("alpha"), None, 25_000_001, "25,000,000"),
        (ScriptedProvider("alpha"), "http://10.0.0.1/a.png", 25_000_001, "25,000,000"),
        (ScriptedProvider("alpha"), "https://files.test/a.png", 25_000_001, None),
        (Uploading("alpha"), None, 100_000_000, None),
        (Uploading("alpha"), None, 100_000_001, "100,000,000"),
        (Uploading("alpha"), "https://files.test/a.png", 100_000_001, None),
    ],
)
def test_a_file_may_be_as_large_as_its_way_allows(
    tmp_path: Path, provider: ScriptedProvider, address: str | None, size_bytes: int, most: str | None
) -> None:
    file = InputFile("image_url", 0, address, "inputs/1", "image", "image/png", size_bytes, 64, 64)
    obstacle = MediaHandover(open_blobs("memory://", scratch=tmp_path)).obstacle([file], provider)
    if most is None:
        assert obstacle is None
    else:
        assert (obstacle or "").startswith(f"image_url: the file has {size_bytes:,} bytes and no public https address")
        assert f"takes up to {most} bytes" in (obstacle or "")
