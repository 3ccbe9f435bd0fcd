"""Every command helps: its help is there, says what each option is for, and ends well; a wrong line ends with 2."""

from collections.abc import Iterator
from pathlib import Path
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


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (["keys", "create"], "--name"),
        (["keys", "create", "--name", ""], "--name: it is empty"),
        (["keys", "create", "--name", " \t"], "--name: it is empty"),
        (["keys", "create", "--name", "\u200b"], "--name: it is empty"),
        (["keys", "create", "--name", "x" * 101], "101 characters; the most is 100"),
        (["keys", "create", "--name", "a\nb"], "control characters, line breaks"),
        (["keys", "create", "--name", "a\x1b[31m"], "control characters"),
        (["keys", "create", "--name", "a\u202eb"], "control characters"),
        (["keys", "create", "--name", "x", "--account", ""], "--account: it is empty"),
        (["keys", "create", "--name", "x", "--scopes", "everything"], "jobs:write, jobs:read, keys, billing"),
        (["keys", "create", "--name", "x", "--scopes", "job:read"], 'did you mean "jobs:read"?'),
        (["keys", "create", "--name", "x", "--scopes", ","], "name some of jobs:write"),
        (["keys", "create", "--name", "x", "--mode", "tset"], 'write test or live; did you mean "test"?'),
        (["keys", "create", "--name", "x", "--expires", "yesterday"], "a time such as 30d nor a date"),
        (["keys", "create", "--name", "x", "--expires", "99999999999d"], "a time such as 30d nor a date"),
        (["keys", "create", "--name", "x", "--expires", "999999999w"], "a time such as 30d nor a date"),
        (["keys", "create", "--name", "x", "--expires", "0h"], "in the past"),
        (["keys", "create", "--name", "x", "--expires", "2001-01-01"], "in the past"),
        (["keys", "create", "--name", "x", "--expires", "9999-12-31"], "over 100 years away"),
        (["keys", "create", "--name", "x", "--spend-cap", "1.0001"], "write 100, or 5/day"),
        (["keys", "create", "--name", "x", "--spend-cap", "5/week"], "write 100, or 5/day"),
        (["keys", "create", "--name", "x", "--spend-cap", "-1"], "write an amount above 0"),
        (["keys", "create", "--name", "x", "--rate-per-minute", "0"], "a whole number from 1 to 1000000"),
        (["keys", "create", "--name", "x", "--rate-per-minute", "many"], "a whole number from 1 to 1000000"),
        (["credits", "grant", "-5"], "`pixeldojo-server credits grant 5`"),
        (["credits", "grant", "-.5", "--take-back"], "amounts are above 0"),
        (["credits", "grant", "--", "-5"], "amounts are above 0"),
        (["credits", "grant", "0"], "amounts are above 0"),
        (["credits", "grant", "nothing"], "write a number such as 7.5"),
        (["credits", "grant", "5", "--note", "a\0b"], "--note: it holds control characters"),
        (["credits", "grant", "5", "--acount", "x"], "--account"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_value_that_cannot_be_used_ends_with_2_and_says_what_would_be_right(
    line: list[str], says: str, tmp_path: Path
) -> None:
    answer = CliRunner().invoke(app, line, env={"COLUMNS": "300", "PIXELDOJO_DATA_DIR": str(tmp_path / "data")})
    assert answer.exit_code == 2
    assert says in answer.output
    assert "Value error" not in answer.output
    assert "Input should" not in answer.output
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("beside", [{}, {"PIXELDOJO_API_KEY": "pd_test_x", "PIXELDOJO_PORT": "1"}], ids=str)
def test_a_misspelt_setting_is_told_and_the_command_goes_on(beside: dict[str, str]) -> None:
    answer = CliRunner().invoke(app, ["settings"], env={"PIXELDOJO_PROT": "4000", **beside})
    assert answer.exit_code == 0
    (warning,) = answer.stderr.splitlines()
    assert warning.startswith(
        'warning: PIXELDOJO_PROT is not a setting and has no effect; did you mean "PIXELDOJO_PORT"?'
    )
    assert "PIXELDOJO_PORT" in answer.stdout


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"pixeldojo-server {__version__}\n"
