"""A model's example as programs that run: in curl, Python and JavaScript, with media that this server offers.

Owns the request that they make and the curl lines. The programs in Python and JavaScript are those of the texts.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.llm_examples import ExampleRun, javascript_example, python_example
from pixeldojo.catalog.parameters import Parameter
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.core.money import credits_text

SAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {"image": "picture.jpg", "video": "clip.mp4", "audio": "speech.mp3"}
)
"""The file that stands in for an input, by what kind of media it is."""


@dataclass(frozen=True, slots=True)
class Program:
    """One example.

    Attributes:
        title: For people.
        language: As highlighters call it.
    """

    title: str
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class Examples:
    """A request for a model, what it is held for, and the programs that make it."""

    body: JsonObject
    credits: str
    has_samples: bool
    programs: tuple[Program, ...]


def model_examples(model: Model, base_url: str, samples_url: str) -> Examples:
    """Return the examples of a model.

    Args:
        base_url: Where clients find this server.
        samples_url: The folder of `SAMPLES`, on this server.
    """
    body = {
        parameter.name: _sampled(parameter, model.example[parameter.name], samples_url)
        for parameter in model.parameters
        if parameter.name in model.example
    }
    run = ExampleRun(model.id, body)
    programs = (
        Program("curl", "bash", curl_line(base_url, run)),
        Program("Python", "python", python_example(base_url, run)),
        Program("JavaScript", "javascript", javascript_example(base_url, run)),
    )
    held = quote_price(model, read_input(model, body)).amount_millicredits
    return Examples(body, credits_text(held), body != model.example, programs)


def curl_line(base_url: str, run: ExampleRun) -> str:
    """Return a command that runs a model and waits for the job."""
    body = shlex.quote(json.dumps(run.body, ensure_ascii=False, indent=2, default=list))
    return f"""curl -X POST "{base_url}/api/v1/models/{run.model_id}/run" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -H "Prefer: wait=60" \\
  -d {body}"""


def new_key_line(base_url: str) -> str:
    """Return a command that makes a key."""
    body = shlex.quote(json.dumps({"name": "poster maker", "scopes": ["jobs:read", "jobs:write"]}))
    return f"""curl -X POST "{base_url}/api/v1/keys" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d {body}"""


def _sampled(parameter: Parameter, value: JsonValue, samples_url: str) -> JsonValue:
    """Return a value with every address of media in it replaced by that of a sample of the kind."""
    if isinstance(value, Mapping):
        members = {member.name: member for member in parameter.fields}
        return {name: _sampled(members[name], member, samples_url) for name, member in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_sampled(parameter, item, samples_url) for item in value]
    sample = SAMPLES.get(parameter.media or "")
    return value if sample is None else f"{samples_url}/{sample}"
