"""What models share: `families/<name>.toml`, and merging it into a model's table.

Owns the shape of a family's file and the short forms that a table may be written in. A family stands on nothing and
lends three things: parameters and size tables, which a model names one by one, and `[model]`, keys that every model of
the family has unless its own file gives them. Leaves what the keys mean to `schema`, and files and models to `load`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price_rules import PriceRule
from pixeldojo.catalog.rules import Rule
from pixeldojo.catalog.schema import LengthLimit, Task, Upstream
from pixeldojo.catalog.toml_file import FileTable, Origin, read_table, read_toml, refuse
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.near_miss import nearest
from pixeldojo.core.output_facts import OutputFacts

_SizeTable = Mapping[str, Mapping[str, tuple[int, int]]]
_MODEL = "model"


class FamilyModel(FileTable):
    """What may stand in a family's `[model]`; each key means what it means in a model's file."""

    task: Task | None = None
    timeout_seconds: int | None = Field(default=None, ge=1)
    price: PriceRule | None = None
    parameters: tuple[Parameter, ...] = ()
    rules: tuple[Rule, ...] = ()
    lengths: tuple[LengthLimit, ...] = ()
    output: OutputFacts | None = None
    upstreams: tuple[Upstream, ...] = ()


class FamilyFile(FileTable):
    """What may stand in `families/<name>.toml`."""

    parameters: tuple[Parameter, ...] = ()
    sizes: Mapping[str, _SizeTable] = Field(default_factory=dict)
    model: FamilyModel = Field(default_factory=FamilyModel)


@dataclass(frozen=True, slots=True)
class Family:
    """A family as models use it.

    Attributes:
        file: Where it is written.
        parameters: By name.
        sizes: Tables by name.
        model: The keys that it lends whole, short forms written out.
    """

    file: str
    parameters: Mapping[str, Parameter]
    sizes: Mapping[str, _SizeTable]
    model: JsonObject


def read_family(file: str, content: bytes) -> Family:
    """Read a family's file.

    Raises:
        ConfigurationError: with a line for each place that is wrong.
    """
    table = read_toml(content, file)
    if "family" in table:
        refuse(file, "family", "a family cannot stand on another one; repeat what it needs here")
    model = table.pop(_MODEL, {})
    shared = read_table(FamilyFile, table, Origin(file))
    parts = Family(file, {parameter.name: parameter for parameter in shared.parameters}, shared.sizes, {})
    if isinstance(model, Mapping):
        model = _complete(model, parts, Origin(file, frozenset(model), file, _MODEL))
    read_table(FamilyFile, {**table, _MODEL: model}, Origin(file))
    return Family(file, parts.parameters, parts.sizes, model if isinstance(model, Mapping) else {})


def with_family(table: JsonObject, families: Mapping[str, Family], file: str) -> tuple[JsonObject, Origin]:
    """Return a model's table with what its family lends and every short form written out, and what came from where.

    Raises:
        ConfigurationError: if there is no such family, or the family has not what the model names.
    """
    family = _family_of(table, families, file)
    own = _complete(table, family, Origin(file))
    lent = {key: value for key, value in family.model.items() if key not in own}
    return {**lent, **own}, Origin(file, frozenset(lent), family.file, _MODEL)


def _family_of(table: JsonObject, families: Mapping[str, Family], file: str) -> Family:
    name = table.get("family")
    if name is None:
        return Family("", {}, {}, {})
    if not isinstance(name, str) or name not in families:
        known = f"; the families are {', '.join(families)}" if families else "; there are no families"
        refuse(file, "family", f"there is no families/{name}.toml{nearest(str(name), list(families)) or known}")
    return families[name]


def _complete(table: JsonObject, family: Family, origin: Origin) -> dict[str, JsonValue]:
    """Return a table with the family's parameters and sizes where it names them, and every `send` in full."""
    complete = dict(table)
    if "parameters" in table:
        complete["parameters"] = _with_shared_parameters(table["parameters"], family, origin)
    if "output" in table:
        complete["output"] = _with_shared_sizes(table["output"], family, origin)
    if "upstreams" in table:
        complete["upstreams"] = _with_full_sends(table["upstreams"])
    return complete


def _with_shared_parameters(parameters: JsonValue, family: Family, origin: Origin) -> JsonValue:
    """Replace `use = "seed"` by the family's parameter of that name; other keys of the entry win."""
    if not isinstance(parameters, list):
        return parameters
    full: list[JsonValue] = []
    for index, entry in enumerate(parameters):
        if not isinstance(entry, Mapping) or "use" not in entry:
            full.append(entry)
            continue
        name = entry["use"]
        if not isinstance(name, str) or name not in family.parameters:
            hint = nearest(str(name), list(family.parameters)) or f"; it has {', '.join(family.parameters) or 'none'}"
            refuse(origin, f"parameters[{index}].use", f'the family has no parameter "{name}"{hint}')
        base = family.parameters[name].model_dump(mode="json", exclude_unset=True)
        full.append({**base, **{key: value for key, value in entry.items() if key != "use"}})
    return full


def _with_shared_sizes(output: JsonValue, family: Family, origin: Origin) -> JsonValue:
    """Replace `table = "name"` in `[output.size]` by the family's table of that name."""
    size = output.get("size") if isinstance(output, Mapping) else None
    if not isinstance(output, Mapping) or not isinstance(size, Mapping) or not isinstance(size.get("table"), str):
        return output
    name = str(size["table"])
    if name not in family.sizes:
        hint = nearest(name, list(family.sizes)) or f"; it has {', '.join(family.sizes) or 'none'}"
        refuse(origin, "output.size.table", f'the family has no sizes "{name}"{hint}')
    rows: JsonObject = {
        row: {column: list(cell) for column, cell in cells.items()} for row, cells in family.sizes[name].items()
    }
    return {**output, "size": {**size, "table": rows}}


def _with_full_sends(upstreams: JsonValue) -> JsonValue:
    """Write the short forms of `send` out: `prompt = "text"`, and one table where several may stand."""
    if not isinstance(upstreams, list):
        return upstreams
    return [_with_full_send(entry) if isinstance(entry, Mapping) else entry for entry in upstreams]


def _with_full_send(entry: JsonObject) -> JsonValue:
    sends = entry.get("send")
    if not isinstance(sends, Mapping):
        return entry
    full: dict[str, JsonValue] = {}
    for name, send in sends.items():
        if isinstance(send, str):
            full[name] = [{"to": send}]
        else:
            full[name] = [send] if isinstance(send, Mapping) else send
    return {**entry, "send": full}
