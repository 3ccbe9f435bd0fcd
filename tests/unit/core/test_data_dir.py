"""The data folder: what cannot be one is told by the name of its setting, with what would be right."""

import os
from pathlib import Path

import pytest

from pixeldojo.core.data_dir import check_data_dir, make_data_dir
from pixeldojo.core.errors import ConfigurationError
from pixeldojo.core.settings import read_settings


def refusal(folder: Path) -> tuple[str, str]:
    """Return what making the folder says, and what looking at it says."""
    said = []
    for take in (make_data_dir, check_data_dir):
        with pytest.raises(ConfigurationError) as caught:
            take(read_settings(data_dir=folder))
        said.append(str(caught.value))
    return said[0], said[1]


def test_a_missing_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_data_dir(read_settings(data_dir=folder))
    assert not folder.exists()
    assert make_data_dir(read_settings(data_dir=folder)) == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert make_data_dir(read_settings(data_dir=folder)) == folder


@pytest.mark.parametrize(("inside", "reason"), [((), "it is a file"), (("data",), "")])
def test_a_file_in_its_place_is_told_with_the_name_of_the_setting(
    tmp_path: Path, inside: tuple[str, ...], reason: str
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path.joinpath("file", *inside)
    for said in refusal(folder):
        assert said.startswith(f"PIXELDOJO_DATA_DIR is {folder}, which cannot be the data folder: {reason}")
        assert said.endswith("Set it to a folder that this user can write.")


def test_a_name_that_is_too_long_is_told_and_not_repeated_whole(tmp_path: Path) -> None:
    for said in refusal(tmp_path / ("x" * 5_000)):
        assert "PIXELDOJO_DATA_DIR" in said
        assert len(said) < 500


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    for folder in (tmp_path, tmp_path / "data"):
        assert all("PIXELDOJO_DATA_DIR" in said for said in refusal(folder))
