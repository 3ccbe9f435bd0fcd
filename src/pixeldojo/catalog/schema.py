"""What a model is, as the rest of the code sees it.

Owns the shapes: parameter, upstream, model. Leaves reading files to `load`, the rules between parameters to `rules`,
prices to `price`, the upstream's words to `bind`, the public texts to `texts`.

The output table
----------------
`Model.output_json` travels to adapters as `Call.output`. Its keys, their exact meaning and the arithmetic over them
are `pixeldojo.core.output_facts`: read it with `OutputFacts.from_json(call.output)` and ask

    facts.kind, facts.roles               image | video | audio | model3d; what each media parameter is for
    facts.count(call.input)               how many files
    facts.encoding(call.input)            file format, sample rate, bit rate
    facts.pixels(call.input, call.files)  width, height (explicit tables, the source's shape, factors, canvases)
    facts.seconds(call.input, call.files), facts.frames_per_second(…), facts.has_sound(…)

so that the catalog and whoever makes the files cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from jsonschema_rs import Draft202012Validator
from pydantic import Field
from pydantic import JsonValue as TomlValue

from pixeldojo.catalog.conditions import Condition, Scalar
from pixeldojo.catalog.price_rules import PriceRule
from pixeldojo.catalog.rules import Rule
from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.output_facts import MediaRole, OutputFacts

Section: TypeAlias = Literal["image", "video"]
Feature: TypeAlias = Literal["LoRA", "Editing", "Audio"]
UseCase: TypeAlias = Literal[
    "artistic",
    "character",
    "cinematic",
    "editing",
    "marketing",
    "photorealism",
    "text-rendering",
    "upscale",
    "video",
]
Task: TypeAlias = Literal[
    "text-to-image",
    "image-edit",
    "upscale",
    "3d",
    "text-to-video",
    "image-to-video",
    "reference-to-video",
    "video-to-video",
    "video-edit",
    "video-extend",
    "avatar",
    "lip-sync",
    "music",
    "video-to-audio",
]
ParameterType: TypeAlias = Literal[
    "string",
    "integer",
    "number",
    "boolean",
    "object",
    "array<string>",
    "array<integer>",
    "array<number>",
    "array<object>",
]


class Parameter(FileTable):
    """One input of a model.

    Attributes:
        name: Canonical, snake_case.
        type: JSON type. Of an array, `enum`, `minimum`, `maximum`, `multiple_of`, `max_length` and `media` speak of
            its items.
        description: One sentence for the caller.
        required: Whether a request without it is refused (only where it applies, if `applies_when` is set).
        default: Filled in when the caller leaves it out; None for no default.
        enum: The only values.
        minimum: Smallest number.
        maximum: Largest number.
        multiple_of: Step of a number.
        min_length: Characters of a string.
        max_length: Characters of a string.
        min_items: Items of an array.
        max_items: Items of an array.
        media: What kind of file the value addresses (https URL or `data:` URI); None for a value that is no file.
        role: What the file is for; every media parameter has one.
        aliases: Other names callers use for it, besides those every model knows.
        applies_when: The parameter exists only on inputs of this kind: elsewhere it is refused and its default is
            not filled in. It may read only parameters that always apply.
        fields: The members of an `object` or of the objects in an array.
        example: A value for examples; made from the limits when None.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    type: ParameterType
    description: str = Field(min_length=1)
    required: bool = False
    default: TomlValue = None
    enum: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    minimum: int | float | None = None
    maximum: int | float | None = None
    multiple_of: int | float | None = Field(default=None, gt=0)
    min_length: int | None = Field(default=None, ge=0)
    max_length: int | None = Field(default=None, ge=1)
    min_items: int | None = Field(default=None, ge=0)
    max_items: int | None = Field(default=None, ge=1)
    media: Literal["image", "video", "audio", "file"] | None = None
    role: MediaRole | None = None
    aliases: tuple[str, ...] = ()
    applies_when: Condition | None = None
    fields: tuple["Parameter", ...] = ()
    example: TomlValue = None

    @property
    def is_array(self) -> bool:
        """Whether its value is a list."""
        return self.type.startswith("array<")

    @property
    def item_type(self) -> str:
        """The JSON type of its value, or of the items of its array."""
        return self.type.removeprefix("array<").removesuffix(">")

    @property
    def drops_when_empty(self) -> bool:
        """Whether an empty list or text means the same as leaving the parameter out."""
        if self.required or self.default is not None or (self.media and not self.is_array):
            return False
        smallest = self.min_items if self.is_array else self.min_length
        return (self.is_array or self.type == "string") and not smallest and self.enum is None


class Send(FileTable):
    """How one parameter's value travels to an upstream.

    Steps in this order, each only where set; on an array, those before `join` treat every item.

    Attributes:
        to: Where it goes: a path such as `input.prompt`, `messages[0].role`, or `input.media[]` to append.
        omit: Values for which nothing is sent.
        pluck: Of objects, take this member.
        values: Replacements, by the value as text (`"1080p"`, `"true"`, `"6"`); others pass unchanged.
        invert: Of a boolean, its opposite.
        times: Multiply (seconds to milliseconds: 1000).
        text: As text in this pattern: `"{}"`, `"{}s"`.
        each: As this JSON value, with `"{}"` standing for the value.
        join: An array as one text with this between its items.
        first: Of an array, only the first item.
        listed: A single value as a list of one.
    """

    to: str = Field(min_length=1)
    omit: tuple[Scalar, ...] = ()
    pluck: str | None = None
    values: Mapping[str, TomlValue] = Field(default_factory=dict)
    invert: bool = False
    times: int | None = None
    text: str | None = None
    each: TomlValue = None
    join: str | None = None
    first: bool = False
    listed: bool = False


class SizeBinding(FileTable):
    """The output's size sent as pixels, in place of the parameters that decide it.

    Attributes:
        width: Path of the width; used together with `height`.
        height: Path of the height.
        to: Path of a text instead.
        text: The text's pattern, `"{width}*{height}"`.
    """

    width: str | None = None
    height: str | None = None
    to: str | None = None
    text: str = "{width}x{height}"


class MediaLimits(FileTable):
    """What an upstream takes for one media parameter; a file beyond it leaves this upstream out."""

    maximum_bytes: int | None = None
    maximum_seconds: float | None = None
    minimum_side: int | None = None
    maximum_side: int | None = None


class Upstream(FileTable):
    """One offering of a model by one provider.

    Attributes:
        provider: Name of the adapter.
        endpoint: The provider's name for the model.
        when: The inputs it can serve; None for all.
        send: How parameters travel whose name or value differ; the others go under their own name.
        lacks: Parameters it does not know: it serves only inputs where they are absent or at their default.
        ignores: Parameters it does not know and whose value may be dropped.
        constants: Path to value; sent with every request.
        size: Sends the size in pixels instead of the parameters that decide it.
        limits: By media parameter.
        source: Where these facts are written.
    """

    provider: str = Field(min_length=1)
    endpoint: str = Field(min_length=1)
    when: Condition | None = None
    send: Mapping[str, tuple[Send, ...]] = Field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    constants: Mapping[str, TomlValue] = Field(default_factory=dict)
    size: SizeBinding | None = None
    limits: Mapping[str, MediaLimits] = Field(default_factory=dict)
    source: str = Field(min_length=1)


class Confidence(FileTable):
    """How well the facts of a model are known, and from where."""

    level: Literal["documented", "partly", "inferred"]
    source: str = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Model:
    """One AI model of the catalog.

    Attributes:
        id: Its public id, the name of its file.
        name: For people.
        description: One or two sentences.
        section: Under which heading of the list it stands.
        order: Its place there.
        task: What it does.
        features: As the original lists them.
        use_cases: As the original lists them.
        parameters: In the order shown.
        rules: Between parameters.
        price: How it is charged.
        output: What comes out.
        output_json: The same as the table that adapters get.
        upstreams: In order of preference.
        confidence: How well all this is known.
        timeout_seconds: A job that takes longer has failed.
        example: A valid input with nothing but what is required.
        request_schema: JSON Schema 2020-12 of the inputs, rules included, `webhook_url` not.
        checker: The compiled schema without the rules between parameters, which `inputs` words itself.
    """

    id: str
    name: str
    description: str
    section: Section
    order: int
    task: Task
    features: tuple[Feature, ...]
    use_cases: tuple[UseCase, ...]
    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...]
    price: PriceRule
    output: OutputFacts
    output_json: JsonObject
    upstreams: tuple[Upstream, ...]
    confidence: Confidence
    timeout_seconds: int
    example: JsonObject
    request_schema: dict[str, JsonValue]
    checker: Draft202012Validator = field(repr=False, compare=False)

    @property
    def media_parameters(self) -> tuple[Parameter, ...]:
        """The parameters whose values address files."""
        return tuple(parameter for parameter in self.parameters if parameter.media)

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
