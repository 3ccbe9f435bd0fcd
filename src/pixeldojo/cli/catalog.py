"""`pixeldojo-server catalog`: reads every file of the catalog and lists the models, or says which file is wrong."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from pixeldojo.catalog.load import Catalog
    from pixeldojo.catalog.schema import Model

_WIDTH_IN_A_PIPE = 200
_LEVELS: Final[tuple[Literal["documented", "partly", "inferred"], ...]] = ("documented", "partly", "inferred")


def check_catalog(
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, help="A folder with models/ and families/; the packaged one by default."
        ),
    ] = None,
    doubtful: Annotated[
        bool, typer.Option("--doubtful", help="List what is not documented, most doubtful first, with its source.")
    ] = False,
) -> None:
    """Check every model's file, price and bind its example for each upstream, and list the models.

    Mistakes end it with status 1: a line for each with the file, the place in it and what would be right.
    """
    from pixeldojo.catalog.load import load_catalog
    from pixeldojo.catalog.price import cost_line

    catalog = load_catalog(folder)
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("model", "task", "price rule", "credits", "upstreams", "confidence")
    for heading in ("model", "confidence", "source") if doubtful else headings:
        table.add_column(heading, overflow="fold")
    if doubtful:
        for model in sorted(catalog.models, key=lambda model: _LEVELS.index(model.confidence.level), reverse=True):
            if model.confidence.level != "documented":
                table.add_row(model.id, model.confidence.level, model.confidence.source)
    else:
        for model in catalog.models:
            table.add_row(
                model.id, model.task, model.price.rule, cost_line(model), _upstreams(model), model.confidence.level
            )
    console = Console()
    Console(width=None if console.is_terminal else _WIDTH_IN_A_PIPE).print(table)
    typer.echo(f"\n{_summary(catalog)}")


def _upstreams(model: "Model") -> str:
    """Return the providers in order of preference, each once."""
    if model.sandbox_only:
        return "sandbox only"
    return ", ".join(dict.fromkeys(upstream.provider for upstream in model.upstreams))


def _summary(catalog: "Catalog") -> str:
    levels = Counter(model.confidence.level for model in catalog.models)
    known = ", ".join(f"{levels[level]} {level}" for level in _LEVELS if levels[level])
    return f"{len(catalog.models)} models, all of them sound: {known}."
