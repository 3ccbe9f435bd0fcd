"""From a folder of TOML files to the catalog, or one sentence that says which file is wrong, where and why.

Owns the layout of the folder (`models/<id>.toml`, `families/<name>.toml`), merging a family into a model, and finding
a model by id. Leaves what the tables mean to `schema`, whether they fit together to `checks`, and keeping what was
found sound to `compiled`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError
from pydantic import JsonValue as TomlValue

from pixeldojo.catalog.checks import check_model, check_names, derive_example
from pixeldojo.catalog.compiled import CompiledFile
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price_rules import PriceRule
from pixeldojo.catalog.rules import Rule
from pixeldojo.catalog.schema import Confidence, Feature, Model, Section, Task, Upstream, UseCase
from pixeldojo.catalog.toml_file import FileTable, each, read_table, read_toml, refuse
from pixeldojo.core.errors import NotFound
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.near_miss import near_word, nearest
from pixeldojo.core.output_facts import MediaRole, OutputFacts

IMAGE_TIMEOUT_SECONDS: Final = 600
OTHER_TIMEOUT_SECONDS: Final = 1800

_SizeTable = Mapping[str, Mapping[str, tuple[int, int]]]


class FamilyFile(FileTable):
    """What may stand in `families/<name>.toml`: parameters and size tables that models share."""

    parameters: tuple[Parameter, ...] = ()
    sizes: Mapping[str, _SizeTable] = Field(default_factory=dict)


class ModelFile(FileTable):
    """What may stand in `models/<id>.toml`, once its family is merged in."""

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    section: Section
    order: int = Field(ge=1)
    task: Task
    features: tuple[Feature, ...] = ()
    use_cases: tuple[UseCase, ...] = ()
    family: str | None = None
    confidence: Confidence
    timeout_seconds: int | None = Field(default=None, ge=1)
    example: Mapping[str, TomlValue] | None = None
    price: PriceRule
    parameters: tuple[Parameter, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()
    output: OutputFacts
    upstreams: tuple[Upstream, ...] = ()
    sandbox_only: str | None = Field(default=None, min_length=1)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every model, images first, each section in its own order."""

    models: tuple[Model, ...]

    def find(self, model_id: str) -> Model:
        """Return the model of that id.

        Raises:
            NotFound: naming the nearest id and where the list is.
        """
        for model in self.models:
            if model.id == model_id:
                return model
        near = self.nearest(model_id)
        hint = f' Did you mean "{near}"?' if near else ""
        raise NotFound(f"There is no model of that id.{hint} GET /api/v1/models lists them all.")

    def nearest(self, model_id: str) -> str | None:
        """Return the id of the model that somebody may have meant, by its name or by an id much like it, or None."""
        named = (model.id for model in self.models if model.name.casefold() == model_id.casefold())
        return next(named, None) or near_word(model_id, [model.id for model in self.models], 0.5)


def load_catalog(folder: Path | None = None, compiled: Path | None = None) -> Catalog:
    """Read every model of the folder; the packaged catalog by default.

    Args:
        folder: Holds `models` and `families`.
        compiled: Where to keep what was read and found sound, in a folder of our own that exists; while none of the
            files changes, the next call with it is several times as quick. Always reads and checks everything if None.

    Raises:
        ConfigurationError: with a line for each mistake: file, line or dotted place, reason and remedy.
    """
    root = folder or Path(str(resources.files("pixeldojo.catalog")))
    sources = {**_sources(root, "families"), **_sources(root, "models")}
    kept = None if compiled is None else CompiledFile(compiled, sources)
    models = _read_kept(kept) if kept else None
    if models is None:
        read = _read_models(sources)
        models = [model for model, _ in read]
        if kept:
            kept.write({model.id: table for model, table in read})
    if not models:
        refuse(str(root), "models", "holds no model; put one .toml file for each model there")
    _refuse_twins(models)
    sections = ("image", "video")
    return Catalog(tuple(sorted(models, key=lambda model: (sections.index(model.section), model.order))))


def _sources(root: Path, part: str) -> dict[str, bytes]:
    """Return the files of a part of the catalog by name, `models/flux.toml`."""
    found: dict[str, bytes] = {}
    for path in sorted((root / part).glob("*.toml")):
        file = f"{part}/{path.name}"
        try:
            found[file] = path.read_bytes()
        except OSError as error:
            refuse(file, "", f"cannot be read ({error}); it must be a UTF-8 text file")
    return found


def _read_kept(kept: CompiledFile) -> list[Model] | None:
    """Return the models that were found sound before; None where there are none."""
    tables = kept.read()
    if tables is None:
        return None
    try:
        written = TypeAdapter(dict[str, ModelFile]).validate_json(tables)
    except ValidationError:
        return None
    return [_assemble(model_id, file) for model_id, file in written.items()]


def _read_models(sources: Mapping[str, bytes]) -> list[tuple[Model, JsonObject]]:
    """Return each model, checked, with its table, in which its family is merged."""
    shared = each(_family, {file: text for file, text in sources.items() if file.startswith("families/")})
    families = {Path(file).stem: family for file, family in shared.items()}

    def read(file: str, content: bytes) -> tuple[Model, JsonObject]:
        table = _model_table(file, content, families)
        return _checked(file, table), table

    return list(each(read, {file: text for file, text in sources.items() if file.startswith("models/")}).values())


def _family(file: str, content: bytes) -> FamilyFile:
    table = read_toml(content, file)
    if "family" in table:
        refuse(file, "family", "a family cannot stand on another one; repeat what it needs here")
    return read_table(FamilyFile, table, file)


def _model_table(file: str, content: bytes, families: Mapping[str, FamilyFile]) -> JsonObject:
    table = read_toml(content, file)
    if "id" in table:
        refuse(file, "id", "the id is the file's name and never stands inside; delete this line")
    family = _family_of(table, families, file)
    table["parameters"] = _with_shared_parameters(table.get("parameters"), family, file)
    table["output"] = _with_shared_sizes(table.get("output"), family, file)
    table["upstreams"] = _with_full_sends(table.get("upstreams", []))
    return table


def _checked(file: str, table: JsonObject) -> Model:
    written = read_table(ModelFile, table, file)
    check_names(written.parameters, written.rules, file)
    model = _assemble(Path(file).stem, written)
    check_model(model, file)
    return model


def _family_of(table: JsonObject, families: Mapping[str, FamilyFile], file: str) -> FamilyFile:
    name = table.get("family")
    if name is None:
        return FamilyFile()
    if not isinstance(name, str) or name not in families:
        known = f"; the families are {', '.join(families)}" if families else "; there are no families"
        refuse(file, "family", f"there is no families/{name}.toml{nearest(str(name), list(families)) or known}")
    return families[name]


def _with_shared_parameters(parameters: JsonValue, family: FamilyFile, file: str) -> JsonValue:
    """Replace `use = "seed"` by the family's parameter of that name; other keys of the entry win."""
    if not isinstance(parameters, list):
        return parameters
    shared = {parameter.name: parameter for parameter in family.parameters}
    full: list[JsonValue] = []
    for index, entry in enumerate(parameters):
        if not isinstance(entry, Mapping) or "use" not in entry:
            full.append(entry)
            continue
        name = entry["use"]
        if not isinstance(name, str) or name not in shared:
            hint = nearest(str(name), list(shared)) or f"; it has {', '.join(shared) or 'none'}"
            refuse(file, f"parameters[{index}].use", f'the family has no parameter "{name}"{hint}')
        base = shared[name].model_dump(mode="json", exclude_unset=True)
        full.append({**base, **{key: value for key, value in entry.items() if key != "use"}})
    return full


def _with_shared_sizes(output: JsonValue, family: FamilyFile, file: str) -> JsonValue:
    """Replace `table = "name"` in `[output.size]` by the family's table of that name."""
    size = output.get("size") if isinstance(output, Mapping) else None
    if not isinstance(output, Mapping) or not isinstance(size, Mapping) or not isinstance(size.get("table"), str):
        return output
    name = str(size["table"])
    if name not in family.sizes:
        hint = nearest(name, list(family.sizes)) or f"; it has {', '.join(family.sizes) or 'none'}"
        refuse(file, "output.size.table", f'the family has no sizes "{name}"{hint}')
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


def _assemble(model_id: str, written: ModelFile) -> Model:
    output = _output(written)
    example = written.example if written.example is not None else derive_example(written.parameters)
    default_timeout = IMAGE_TIMEOUT_SECONDS if output.kind == "image" else OTHER_TIMEOUT_SECONDS
    return Model(
        id=model_id,
        name=written.name,
        description=written.description,
        section=written.section,
        order=written.order,
        task=written.task,
        features=written.features,
        use_cases=written.use_cases,
        parameters=written.parameters,
        rules=written.rules,
        price=written.price,
        output=output,
        upstreams=written.upstreams,
        sandbox_only=written.sandbox_only,
        confidence=written.confidence,
        timeout_seconds=written.timeout_seconds or default_timeout,
        example=example,
    )


def _output(written: ModelFile) -> OutputFacts:
    """Return the output table with the roles of the media, and of a shared size table only what the model offers."""
    roles = {path: role for parameter in written.parameters for path, role in _roles(parameter, parameter.name)}
    facts = written.output.model_copy(update={"roles": roles})
    size = facts.size
    if size is None:
        return facts
    options = {parameter.name: [str(value) for value in parameter.enum or ()] for parameter in written.parameters}
    rows = {size.default_resolution, *options.get(size.resolution_parameter or "", ())}
    columns = {size.default_aspect, *options.get(size.aspect_parameter or "", ())}
    table = {
        row: {column: cell for column, cell in cells.items() if column in columns}
        for row, cells in size.table.items()
        if row in rows
    }
    return facts.model_copy(update={"size": size.model_copy(update={"table": table})})


def _roles(parameter: Parameter, path: str) -> list[tuple[str, MediaRole]]:
    found = [(path, parameter.role)] if parameter.role else []
    for member in parameter.fields:
        found += _roles(member, f"{path}.{member.name}")
    return found


def _refuse_twins(models: Sequence[Model]) -> None:
    places: dict[tuple[str, int], Model] = {}
    for model in models:
        twin = places.setdefault((model.section, model.order), model)
        if twin is not model:
            reason = f"{model.order} is taken by models/{twin.id}.toml; give every model of a section its own number"
            refuse(f"models/{model.id}.toml", "order", reason)
