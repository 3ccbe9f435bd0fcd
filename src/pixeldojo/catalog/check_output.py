"""Whether the output table covers everything a caller can ask for.

Owns checks of the table against parameters. Leaves its meaning to `pixeldojo.core.output_facts`.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from pixeldojo.catalog.schema import Model
from pixeldojo.core.near_miss import nearest
from pixeldojo.core.output_facts import FrameRate, Length, Size, Sound

Findings: TypeAlias = Iterator[tuple[str, str]]


def output_findings(model: Model) -> Findings:
    """Find what the table leaves open or names wrongly."""
    output = model.output
    wanted = {"image": ("size",), "video": ("size", "length"), "audio": ("length",), "model3d": ()}[output.kind]
    for table in wanted:
        if getattr(output, table) is None:
            yield f"output.{table}", f"is missing; a model that makes {output.kind} needs it"
    yield from _known(model, "output", output.count_parameter, output.quality_parameter, output.faces_parameter)
    yield from _format_findings(model)
    if output.size:
        yield from _size_findings(model, output.size)
    if output.length:
        yield from _length_findings(model, output.length)
    for part in (output.frame_rate, output.sound):
        yield from _part_findings(model, part)


def _format_findings(model: Model) -> Findings:
    output = model.output
    yield from _known(model, "output.format_parameter", output.format_parameter)
    parameter = model.parameter(output.format_parameter) if output.format_parameter else None
    for value in (parameter and parameter.enum) or ():
        if value not in output.formats and value not in output.format_values:
            yield (
                "output.formats",
                f'"{value}" of {output.format_parameter} is neither a format nor a key of format_values',
            )


def _size_findings(model: Model, size: Size) -> Findings:
    place = "output.size"
    names = [size.resolution_parameter, size.aspect_parameter, size.width_parameter, size.height_parameter]
    yield from _known(model, place, *names, size.scale_parameter)
    if size.canvas:
        yield from _known(model, f"{place}.canvas", *size.canvas.model_dump().values())
    yield from _media(model, f"{place}.follow", size.follow)
    columns = {*_options(model, size.aspect_parameter), size.default_aspect}
    columns -= {*(size.follow_aspects or ()), *size.custom_aspects} - {size.default_aspect}
    rows = {*_options(model, size.resolution_parameter), size.default_resolution}
    rows -= {*size.follow_resolutions} - {size.default_resolution}
    for row in sorted(rows):
        if row not in size.table:
            yield f"{place}.table", f'has no row "{row}"'
            continue
        for column in sorted(columns - size.table[row].keys()):
            yield f"{place}.table.{row}", f'has no size for "{column}"'
    if model.output.kind == "video":
        yield from _odd_sides(size)


def _odd_sides(size: Size) -> Findings:
    for row, cells in size.table.items():
        for column, sides in cells.items():
            if any(side % 2 for side in sides):
                yield f"output.size.table.{row}.{column}", "a video's sides are even numbers"


def _length_findings(model: Model, length: Length) -> Findings:
    place = "output.length"
    yield from _known(model, place, length.parameter, length.frames_parameter, length.script_parameter)
    yield from _media(model, f"{place}.follow", length.follow)


def _part_findings(model: Model, part: FrameRate | Sound | None) -> Findings:
    if isinstance(part, FrameRate):
        yield from _known(model, "output.frame_rate", part.parameter)
        yield from _media(model, "output.frame_rate.follow", part.follow)
    elif isinstance(part, Sound):
        yield from _known(model, "output.sound", part.parameter)
        yield from _media(model, "output.sound.carry", part.carry)


def _options(model: Model, name: str | None) -> list[str]:
    parameter = model.parameter(name) if name else None
    return [str(value) for value in (parameter and parameter.enum) or ()]


def _known(model: Model, place: str, *names: str | None) -> Findings:
    for name in names:
        if name is not None and model.parameter(name) is None:
            yield place, f'no parameter is named "{name}"{nearest(name, [p.name for p in model.parameters])}'


def _media(model: Model, place: str, names: Sequence[str]) -> Findings:
    yield from _known(model, place, *names)
    for name in names:
        parameter = model.parameter(name)
        if parameter and not parameter.media:
            yield place, f"{name} is not a media parameter, so nothing can follow it"
