"""One input of a model, as its file describes it.

Owns the shape. Leaves its JSON Schema to `request_schema`, and the rules between several to `rules`.
"""

from typing import Literal, TypeAlias

from pydantic import Field
from pydantic import JsonValue as TomlValue

from pixeldojo.catalog.conditions import Condition, Scalar
from pixeldojo.catalog.toml_file import FileTable
from pixeldojo.core.output_facts import MediaRole

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
