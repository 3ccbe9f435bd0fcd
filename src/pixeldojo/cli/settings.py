"""`pixeldojo-server settings`: every setting, what it is now, what it means."""

from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from pixeldojo.core.settings import Settings, read_settings, variable_of


def list_settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As a page of documentation, with defaults only.")
    ] = False,
) -> None:
    """List every setting: its environment variable, its value now, and what it means."""
    if markdown:
        typer.echo(settings_page(), nl=False)
        return
    now = read_settings()
    table = Table(title="Settings, read from the environment", title_justify="left", show_lines=False)
    for heading in ("variable", "now", "meaning"):
        table.add_column(heading, overflow="fold")
    for name, field in Settings.model_fields.items():
        table.add_row(variable_of(name), _shown(getattr(now, name)), field.description or "")
    Console().print(table)


def settings_page() -> str:
    """Return the reference page that docs/settings.md holds."""
    lines = [
        "# Settings",
        "",
        "Read from the environment, once, at start. `pixeldojo-server settings` shows what is in force.",
        "This page is generated: `pixeldojo-server settings --markdown > docs/settings.md`.",
        "",
        "An empty variable counts as not set. A value that cannot be used stops the start, with every such variable "
        "named; a variable that begins with `PIXELDOJO_` and is none of these has no effect but a warning.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.is_required() else _shown(field.default)
        lines.append(f"| `{variable_of(name)}` | {f'`{default}`' if default else ''} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)
