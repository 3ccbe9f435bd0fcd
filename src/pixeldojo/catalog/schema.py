"""What a model is, as the rest of the code sees it.

Owns the shapes: model, upstream. Leaves an input to `parameters`, reading files to `load`, the rules between
parameters to `rules`, prices to `price`, the upstream's words to `bind`, the public texts to `texts`.

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
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

from jsonschema_rs import Draft202012Validator
from pydantic import Field
from pydantic import JsonValue as TomlValue

from pixeldojo.catalog.conditions import Condition, Scalar
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price_rules import PriceRule
from pixeldojo.catalog.request_schema import object_schema, published_schema
from pixeldojo.catalog.rules import Rule
from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.output_facts import OutputFacts

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


# Whose adapters there are; an upstream of anybody else could never be asked.
PROVIDERS: Final = ("fal", "replicate", "dashscope", "runware", "xai", "google", "openai", "wavespeed", "magnific")


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


class LengthLimit(FileTable):
    """How long a clip or a sound may be, whoever the upstream.

    Attributes:
        of: The media parameter; each of its files counts by itself.
        when: The inputs it holds for; None for all.
        minimum: Seconds.
        maximum: Seconds.
    """

    of: str
    when: Condition | None = None
    minimum: float | None = Field(default=None, gt=0)
    maximum: float | None = Field(default=None, gt=0)


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


@dataclass(frozen=True)
class Model:
    """One AI model of the catalog; what follows from its file's words is worked out when first asked for.

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
        upstreams: In order of preference; none for a model that runs on the sandbox only.
        sandbox_only: Why no upstream stands here, a sentence; None where one does.
        confidence: How well all this is known.
        timeout_seconds: A job that takes longer has failed.
        example: A valid input with nothing but what is required.
        lengths: How long its clips and sounds may be.
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
    upstreams: tuple[Upstream, ...]
    sandbox_only: str | None
    confidence: Confidence
    timeout_seconds: int
    example: JsonObject
    lengths: tuple[LengthLimit, ...] = ()

    @cached_property
    def request_schema(self) -> dict[str, JsonValue]:
        """JSON Schema 2020-12 of the inputs, rules included, `webhook_url` not."""
        return published_schema(self.name, self.parameters, self.rules)

    @cached_property
    def checker(self) -> Draft202012Validator:
        """The compiled schema without the rules between parameters, which `inputs` words itself."""
        return Draft202012Validator(object_schema(self.parameters))

    @cached_property
    def output_json(self) -> JsonObject:
        """The output table as adapters get it."""
        return self.output.to_json()

    @cached_property
    def known(self) -> Mapping[str, Parameter]:
        """The parameters by name, in the order shown."""
        return {parameter.name: parameter for parameter in self.parameters}

    @cached_property
    def conditional(self) -> tuple[Parameter, ...]:
        """The parameters that exist only on some inputs."""
        return tuple(parameter for parameter in self.parameters if parameter.applies_when)

    @cached_property
    def lists(self) -> frozenset[str]:
        """The parameters that are arrays."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.is_array)

    @property
    def media_parameters(self) -> tuple[Parameter, ...]:
        """The parameters whose values address files."""
        return tuple(parameter for parameter in self.parameters if parameter.media)

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return self.known.get(name)
