"""How our OpenAPI document is tried with Schemathesis: with which checks, what they may meet, and what they found.

Owns what is the same for an app in the test's process and for a running server. Which app, and how far the trial has to
get, is for the tests.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from tests.api.dojo import PNG

# Half of what is uploaded is a picture; no schema can say what the rest would have to be.
schemathesis.openapi.media_type("application/octet-stream", st.binary() | st.binary().map(PNG.__add__))

GENERIC_RUN: Final = "POST /api/v1/models/{apiId}/run"
# What a well-formed request may meet besides success, wherever it stands: nothing of that id, not in this state, a key
# that was used for something else (`_refusals` looks for its code).
_PLAIN: Final = ["2xx", "304", "404", "409", "422"]
_BEYOND_THE_SCHEMA: Final = {
    # The model is chosen by the address, so the body cannot be bound by it; at the models' own addresses it is.
    "include-name": [GENERIC_RUN, "POST /api/v1/models/{apiId}/estimate"],
    # The job had no `webhook_url`; a span of time can be too long.
    "include-path": ["/api/v1/jobs/{jobId}/webhook", "/api/v1/usage"],
    # An address may lead where we do not go (`_refusals` looks for nothing else).
    "include-operation-id-regex": "^run_",
}


def trial_config(secret: str, *, max_examples: int) -> SchemathesisConfig:
    """Return the configuration of a trial with a key: every check and phase, always the same examples."""
    return SchemathesisConfig.from_dict(
        {
            "seed": 20260504,
            # A NUL is refused in any text, which a schema could say only with a pattern that nobody would read.
            "generation": {"allow-x00": False, "max-examples": max_examples, "deterministic": True, "database": "none"},
            "auth": {"openapi": {"apiKey": {"bearer": secret}}},
            "checks": _accepting(_PLAIN),
            "operations": [
                *({name: value, "checks": _accepting([*_PLAIN, "400"])} for name, value in _BEYOND_THE_SCHEMA.items()),
                # Names that show, times that lie ahead, no more than the calling key has: no schema can say that.
                {
                    "include-operation-id": ["createKey", "changeKey"],
                    "checks": _accepting([*_PLAIN, "400", "403"]),
                },
                {"include-operation-id": "uploadFile", "checks": _accepting([*_PLAIN, "400", "415"])},
            ],
        }
    )


def tried(schema: Any) -> tuple[set[str], set[tuple[str, int]]]:
    """Try a schema; return what is wrong, and which operation answered with which status."""
    problems: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                problems.update(_failures(recorder))
                problems.update(_refusals(recorder))
                seen.update(_statuses(recorder))
            case events.NonFatalError(value=error) | events.FatalError(exception=error):
                problems.add(repr(error))
            case _:
                """Beginnings and ends."""
    return problems, seen


def _accepting(statuses: list[str]) -> dict[str, object]:
    return {"positive_data_acceptance": {"expected-statuses": statuses}}


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                yield f"{failure.operation}: {failure.title}: {failure.message}\n{check.failure_info.code_sample}"


def _refusals(recorder: ScenarioRecorder) -> Iterator[str]:
    """Yield the refusals of well-formed requests for which the document gave no reason, where it should.

    No schema can say which idempotency keys were used before, nor where an address leads: https and public it must be.
    """
    for case_id, interaction in recorder.interactions.items():
        case, response = recorder.cases[case_id].value, interaction.response
        if response is None or case.meta is None or not case.meta.generation.mode.is_positive:
            continue
        operation_id = str(case.operation.definition.raw.get("operationId"))
        if response.status_code == 422 or (response.status_code == 400 and operation_id.startswith("run_")):
            error = json.loads(response.content or b"")["error"]
            paths = {detail["path"].partition("[")[0] for detail in error.get("details", [])}
            if error["code"] != "idempotency_mismatch" and not (paths and paths <= _addresses(case.body)):
                yield f"{case.operation.label}: well-formed and refused: {error}\n{case.as_curl_command()}"


def _addresses(body: object) -> set[str]:
    """Return the members of a body that hold addresses."""
    members = body.items() if isinstance(body, dict) else ()
    return {str(name) for name, value in members if re.search(r"https?://|data:", json.dumps(value))}


def _statuses(recorder: ScenarioRecorder) -> Iterator[tuple[str, int]]:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None:
            yield recorder.cases[case_id].value.operation.label, interaction.response.status_code
