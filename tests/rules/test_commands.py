"""Every command helps: its help is there, says what each option is for, and ends well; a wrong line ends with 2."""

from collections.abc import Iterator
from typing import TypeAlias

import pytest
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from pixeldojo import __version__
from pixeldojo.cli.main import app

AnyCommand: TypeAlias = TyperGroup | TyperCommand


def _commands(command: object, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], AnyCommand]]:
    assert isinstance(command, TyperGroup | TyperCommand)
    yield words, command
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _commands(child, (*words, name))


COMMANDS = dict(_commands(get_command(app)))
_names = [" ".join(words) or "(itself)" for words in COMMANDS]


@pytest.mark.parametrize("words", COMMANDS, ids=_names)
def test_help_ends_well_and_says_what_the_command_is_for(words: tuple[str, ...]) -> None:
    answer = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120", "TERM": "dumb"})
    assert answer.exit_code == 0
    # Back-ticks mark what is set in bold.
    sentence = " ".join((COMMANDS[words].help or "").replace("`", "").split())[:40]
    assert len(sentence.split()) >= 3
    assert sentence in " ".join(answer.output.split())


@pytest.mark.parametrize("words", COMMANDS, ids=_names)
def test_every_option_and_argument_says_what_it_is_for(words: tuple[str, ...]) -> None:
    silent = [
        parameter.name for parameter in COMMANDS[words].params if not (getattr(parameter, "help", None) or "").strip()
    ]
    assert silent == []


@pytest.mark.parametrize("line", [["sevre"], ["keys", "make"], ["up", "--fast"], ["credits", "grant"]])
def test_a_wrong_line_ends_with_2_and_points_to_help(line: list[str]) -> None:
    answer = CliRunner().invoke(app, line)
    assert answer.exit_code == 2
    assert "--help" in answer.output


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"pixeldojo-server {__version__}\n"
