"""Every rule between parameters that a file declares refuses what it should, in words, and nothing else."""

import pytest
from jsonschema_rs import Draft202012Validator
from tests.catalog.rule_inputs import breaking, fitting
from tests.catalog.strategies import MODELS

from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.rules import ChooseRule, WhenRule
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import ValidationError

with_rules = pytest.mark.parametrize("model", [m for m in MODELS if m.rules], ids=lambda model: model.id)


@with_rules
def test_each_rule_refuses_what_breaks_it_and_says_so(model: Model) -> None:
    schema = Draft202012Validator(model.request_schema)
    for rule in model.rules:
        ways = list(breaking(model, rule))
        assert ways, f"nothing can break {rule}"
        for raw, words in ways:
            with pytest.raises(ValidationError) as caught:
                read_input(model, raw)
            told = [breach.message for breach in caught.value.details]
            assert any(all(word in message for word in words) for message in told), (raw, words, told)
            if isinstance(rule, ChooseRule | WhenRule):
                assert not schema.is_valid(raw), raw


@with_rules
def test_each_rule_lets_pass_what_keeps_it(model: Model) -> None:
    schema = Draft202012Validator(model.request_schema)
    for rule in model.rules:
        raw = fitting(model, rule)
        read_input(model, raw)
        assert schema.is_valid(raw), raw
