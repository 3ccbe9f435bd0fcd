"""Promises of reading inputs that hold for every model and whatever a caller sends."""

import json
import sys
from types import FrameType

from hypothesis import given, settings
from jsonschema_rs import Draft202012Validator
from tests.catalog.strategies import MODELS, Request, any_inputs, near_inputs, requests, valid_inputs

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.price import quote_price
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError, Violation
from pixeldojo.core.json_types import JsonValue

# The only rules JSON Schema cannot say: sums, equal lengths, areas.
BEYOND_SCHEMA = (
    "may come to",
    "must come to",
    "as many items as one another",
    "pixels in all",
    "times the other at most",
)
SCHEMAS = {model.id: Draft202012Validator(model.request_schema) for model in MODELS}


def read_or_breaches(request: Request) -> tuple[dict[str, JsonValue] | None, tuple[Violation, ...]]:
    """Return what was read, or what was wrong."""
    try:
        return read_input(*request), ()
    except ValidationError as error:
        return None, error.details


@settings(max_examples=60, deadline=None)
@given(requests(any_inputs))
def test_anything_is_either_read_or_refused_with_sentences(request_: Request) -> None:
    read, breaches = read_or_breaches(request_)
    assert (read is None) == bool(breaches)
    json.dumps(read, allow_nan=False)
    for breach in breaches:
        assert breach.path or "" in request_[1]
        assert breach.message.endswith((".", "?", ")"))
        f"{breach.path}{breach.message}".encode()


@settings(max_examples=60, deadline=None)
@given(requests(valid_inputs))
def test_reading_what_was_read_changes_nothing(request_: Request) -> None:
    model, raw = request_
    before = json.dumps(raw)
    read, _ = read_or_breaches(request_)
    if read is not None:
        again = read_input(model, read)
        assert list(again.items()) == list(read.items())
    assert json.dumps(raw) == before


@settings(max_examples=80, deadline=None)
@given(requests(near_inputs) | requests(valid_inputs))
def test_the_published_schema_and_the_reader_agree(request_: Request) -> None:
    model, raw = request_
    read, breaches = read_or_breaches(request_)
    sayable = [breach for breach in breaches if not any(words in breach.message for words in BEYOND_SCHEMA)]
    assert SCHEMAS[model.id].is_valid(raw) == (not sayable), (read, breaches)


def calls_of_a_request(model: Model) -> int:
    """Count the functions called to read and price the model's example, once what is kept has been worked out."""
    read_input(model, model.example)
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        quote_price(model, read_input(model, model.example))
    finally:
        sys.setprofile(before)
    return calls


def test_reading_and_pricing_a_request_takes_few_calls() -> None:
    """Time cannot be asserted on every machine, calls can: 100 us are what a request may take, and a call takes 0.2."""
    calls = {model.id: calls_of_a_request(model) for model in MODELS}
    assert max(calls.values()) < 400, max(calls.items(), key=lambda item: item[1])
