"""From a folder of TOML files to the catalog, or one sentence that says which file is wrong, where and why.

Owns the layout of the folder (`models/<id>.toml`, `families/<name>.toml`) and finding a model by id. Leaves merging a
family into a model to `family`, what the tables mean to `schema`, whether they fit together to `checks`, and keeping
what was found sound to `compiled`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError
from pydantic import JsonValue as TomlValue

from pixeldojo.catalog.checks import check_model, check_names, check_providers, derive_example
from pixeldojo.catalog.compiled import CompiledFile
from pixeldojo.catalog.family import Family, read_family, with_family
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price_rules import PriceRule
from pixeldojo.catalog.rules import Rule
from pixeldojo.catalog.schema import (
    PROVIDERS,
    Confidence,
    Feature,
    LengthLimit,
    Model,
    Section,
    Task,
    Upstream,
    UseCase,
)
from pixeldojo.catalog.toml_file import FileTable, Origin, each, read_table, read_toml, refuse
from pixeldojo.core.errors import NotFound
from pixeldojo.core.json_types import JsonObject
from pixeldojo.core.near_miss import near_word
from pixeldojo.core.output_facts import MediaRole, OutputFacts

IMAGE_TIMEOUT_SECONDS: Final = 600
OTHER_TIMEOUT_SECONDS: Final = 1800
_WORD: Final = re.compile(r"[a-z]+|[0-9][0-9.]*")
# Fewer letters stand in the name of almost any model.
_TELLING_CHARACTERS: Final = 3
_MISSPELT: Final = 0.75
_LONGEST_COMPARED: Final = 80


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
    lengths: tuple[LengthLimit, ...] = ()
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
        """Return the id of the model that somebody may have meant, or None.

        That is the model of this name, else the most alike of those whose id or name holds every word given, else an
        id that is nearly spelled so. Programs run what they are told here, so a far guess is worse than none.
        """
        asked = model_id[:_LONGEST_COMPARED].casefold()
        words, name = [_squeezed(word) for word in _WORD.findall(asked)], _squeezed(asked)
        named = [model.id for model in self.models if _squeezed(model.name) == name]
        if not named and max(map(len, words), default=0) >= _TELLING_CHARACTERS:
            named = [model.id for model in self.models if all(word in _told(model) for word in words)]
        return near_word(asked, named, 0) or near_word(asked, [model.id for model in self.models], _MISSPELT)


def _squeezed(text: str) -> str:
    """Return the letters and figures of a text, for comparing names that are written in several ways."""
    return "".join(filter(str.isalnum, text.casefold()))


def _told(model: Model) -> str:
    return f"{_squeezed(model.id)} {_squeezed(model.name)}"


def load_catalog(
    folder: Path | None = None, compiled: Path | None = None, providers: Sequence[str] = PROVIDERS
) -> Catalog:
    """Read every model of the folder; the packaged catalog by default.

    Args:
        folder: Holds `models` and `families`.
        compiled: Where to keep what was read and found sound, in a folder of our own that exists; while none of the
            files changes, the next call with it is several times as quick. Always reads and checks everything if None.
        providers: The names that an upstream may have.

    Raises:
        ConfigurationError: with a line for each mistake: file, line or dotted place, reason and remedy.
    """
    root = folder or Path(str(resources.files("pixeldojo.catalog")))
    sources = {**_sources(root, "families"), **_sources(root, "models")}
    kept = None if compiled is None else CompiledFile(compiled, sources)
    models = _read_kept(kept) if kept else None
    if models is None:
        read = _read_models(sources, providers)
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


def _read_models(sources: Mapping[str, bytes], providers: Sequence[str]) -> list[tuple[Model, JsonObject]]:
    """Return each model, checked, with its table, in which its family is merged."""
    shared = each(read_family, {file: text for file, text in sources.items() if file.startswith("families/")})
    families = {Path(file).stem: family for file, family in shared.items()}

    def read(file: str, content: bytes) -> tuple[Model, JsonObject]:
        table, origin = _model_table(file, content, families)
        return _checked(table, origin, providers), table

    return list(each(read, {file: text for file, text in sources.items() if file.startswith("models/")}).values())


def _model_table(file: str, content: bytes, families: Mapping[str, Family]) -> tuple[JsonObject, Origin]:
    table = read_toml(content, file)
    if "id" in table:
        refuse(file, "id", "the id is the file's name and never stands inside; delete this line")
    return with_family(table, families, file)


def _checked(table: JsonObject, origin: Origin, providers: Sequence[str]) -> Model:
    written = read_table(ModelFile, table, origin)
    check_names(written.parameters, written.rules, origin)
    check_providers(written.upstreams, providers, origin)
    model = _assemble(Path(origin.file).stem, written)
    check_model(model, origin)
    return model


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
        lengths=written.lengths,
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
