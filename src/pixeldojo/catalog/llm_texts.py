"""/llm.txt: every model and every way to use it, in one document.

It keeps headings, order and kinds of lines of the hosted service's document, so that whatever reads that one reads
this one; what it says is this server's: its catalog, routes, limits and errors. Leaves the example programs to
`llm_examples`, one model alone to `model_text`, and the list of all texts to `llms_index`.
"""

import json
from collections.abc import Iterable

from pixeldojo.catalog.conditions import joined
from pixeldojo.catalog.llm_examples import curl_example, example_run, javascript_example, python_example
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.model_text import in_short, listed, on_one_line
from pixeldojo.catalog.price import cost_line
from pixeldojo.catalog.schema import Model
from pixeldojo.catalog.server_facts import Endpoint, ServerFacts
from pixeldojo.core.errors import (
    Conflict,
    CreditError,
    Expired,
    Forbidden,
    IdempotencyMismatch,
    InsufficientCredits,
    InternalError,
    InvalidJson,
    JobFailureCode,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PixelDojoError,
    RateLimitExceeded,
    ServiceUnavailable,
    SubmissionFailed,
    Unauthorized,
    UnsupportedMediaType,
    ValidationError,
)

SECTIONS = (("image", "Image Models"), ("video", "Video Models"))
_CORE = (
    Endpoint("POST", "/api/v1/models/{apiId}/run", "Start a job; answered at once with its id and price"),
    Endpoint("GET", "/api/v1/jobs/{jobId}", "How a job stands, its files and what it cost"),
    Endpoint("GET", "/api/v1/models", "Every model with its price"),
    Endpoint("GET", "/api/v1/models/{apiId}", "One model with its parameters and their schema"),
)
# The first ten as the hosted service lists them, then what this server adds.
ERRORS: tuple[tuple[type[PixelDojoError], str], ...] = (
    (Unauthorized, "No API key came with the request, or one that is unknown, revoked or past its expiry"),
    (InvalidJson, "The body is empty, not JSON, or no JSON object"),
    (ValidationError, "Inputs break a rule of the model or the endpoint; `details` names each of them"),
    (NotFound, "There is no such model, job or address; a misspelt model id is answered with the nearest one"),
    (InsufficientCredits, "The balance does not cover the price; the message gives both"),
    (CreditError, "The credits could not be held, by a fault of the server; nothing was charged"),
    (SubmissionFailed, "The job could not be stored; nothing was charged, try again"),
    (Expired, "The job or file was deleted, by its age or by request"),
    (RateLimitExceeded, "Too many requests; wait the seconds that `Retry-After` says"),
    (InternalError, "A fault of the server; `requestId` finds it in its log"),
    (Forbidden, "The key may not do this: it lacks a scope, has reached its spend cap, or is of the wrong mode"),
    (MethodNotAllowed, "The address does not take that method; `Allow` lists those it takes"),
    (Conflict, "A job in that state cannot do this, or a request with the same Idempotency-Key is still under way"),
    (PayloadTooLarge, "The body is over the limit; send large media as an address"),
    (UnsupportedMediaType, "The Content-Type is not one that the endpoint reads"),
    (IdempotencyMismatch, "The Idempotency-Key was used before with another request"),
    (ServiceUnavailable, "A part of the server is away, or it has no upstream for a live key; see `Retry-After`"),
)
FAILURES: tuple[tuple[JobFailureCode, str], ...] = (
    (JobFailureCode.INVALID_INPUT, "an input turned out unusable, such as a file that is no image"),
    (JobFailureCode.CONTENT_REJECTED, "moderation refused the prompt, a file or the result"),
    (JobFailureCode.UPSTREAM_ERROR, "the upstream failed or gave a file that cannot be used"),
    (JobFailureCode.UPSTREAM_UNAVAILABLE, "no upstream took the job; try again later"),
    (JobFailureCode.TIMEOUT, "the model's deadline passed"),
    (JobFailureCode.UPSTREAM_UNKNOWN, "it cannot be known whether the upstream did the work"),
    (JobFailureCode.CANCELED, "it was canceled in time"),
)


def llm_text(catalog: Catalog, facts: ServerFacts) -> str:
    """Return /llm.txt: every model and every way to use it, in one document."""
    parts = [_overview(catalog, facts), _authentication(catalog, facts)]
    for section, heading in SECTIONS:
        models = [model for model in catalog.models if model.section == section]
        parts += [f"## {heading} ({len(models)} available)", *(_entry(model) for model in models)]
    parts += [
        "> Parameters of all of them: `GET /api/v1/models?detailed=true`; of one, in words: `GET /llm/{apiId}.txt`",
        _responses(facts),
        _errors(),
        _limits(facts),
        _examples(catalog, facts),
        _practices(facts),
        _links(catalog, facts),
    ]
    return "\n\n".join(parts) + "\n"


def _entry(model: Model) -> str:
    lines = [
        f"### {on_one_line(model.name)} (`{model.id}`)",
        in_short(model),
        f"- Cost: {cost_line(model)}",
        *listed("Features", model.features),
        *listed("Use cases", model.use_cases),
    ]
    return "\n".join(lines)


def _overview(catalog: Catalog, facts: ServerFacts) -> str:
    core = {(endpoint.method, endpoint.path) for endpoint in _CORE}
    others = [endpoint for endpoint in facts.endpoints if (endpoint.method, endpoint.path) not in core]
    routes = "\n".join(f"- `{one.method} {one.path}` — {one.summary}" for one in (*_CORE, *others))
    return f"""# PixelDojo API (Async Jobs)
> Made to be read by language models, whole.
> The server writes it from its own catalog, routes and limits, so it is never older than they are.

## Overview

One asynchronous API over {len(catalog.models)} AI models for images, video, sound and 3D.
A job is submitted, runs on its own, and ends as `completed` or `failed`; its files are then fetched.

**Base URL:** `{facts.base_url}/api/v1`

### Core Endpoints
{routes}"""


def _authentication(catalog: Catalog, facts: ServerFacts) -> str:
    live = sum(facts.has_upstream(model) for model in catalog.models)
    upstreams = f"for {live} of the {len(catalog.models)} models" if live else "for none of the models so far"
    return f"""## Authentication

Models, schemas, the OpenAPI document and these texts are open to all; files are, to whoever has their address.
Everything else takes an API key:
```
Authorization: Bearer YOUR_API_KEY
```

Keys that begin with `pd_test_` run every model on a built-in sandbox: it draws real files of the size, length and
format asked for, and costs sandbox credits only. Keys that begin with `pd_live_` run on real upstreams, which this
server has {upstreams}.{_sandbox_only(catalog)}

Get your API key: whoever runs the server makes one with `pixeldojo-server keys create --name NAME`.

## Requirements
- An API key
- Credits for the price of the job (images cost per request or per image, videos per request or per second)"""


def _sandbox_only(catalog: Catalog) -> str:
    models = [f"`{model.id}`" for model in catalog.models if model.sandbox_only]
    return f"\nNo server has one for {joined(models, 'or')}." if models else ""


def _responses(facts: ServerFacts) -> str:
    base = facts.base_url
    accepted = {
        "jobId": "job_abc123",
        "status": "pending",
        "statusUrl": f"{base}/api/v1/jobs/job_abc123",
        "creditCost": 1,
        "creditsRemaining": 99,
        "expiresAt": "2026-01-23T12:00:00Z",
    }
    address = f"{base}/assets/abc123.png"
    completed = {
        "jobId": "job_abc123",
        "status": "completed",
        "model": "flux-1.1-pro",
        "mode": "test",
        "input": {"prompt": "A sunset", "output_format": "png"},
        "output": {"images": [address]},
        "assets": [
            {
                "url": address,
                "kind": "image",
                "contentType": "image/png",
                "sizeBytes": 481516,
                "sha256": "0" * 64,
                "width": 1024,
                "height": 1024,
                "durationSeconds": None,
            }
        ],
        "creditCost": 1,
        "error": None,
        "webhook": None,
        "createdAt": "2026-01-22T11:59:50Z",
        "startedAt": "2026-01-22T11:59:51Z",
        "completedAt": "2026-01-22T12:00:00Z",
        "expiresAt": "2026-01-23T12:00:00Z",
    }
    return f"""## Response Format

### Submit Response

```json
{json.dumps(accepted, indent=2)}
```

### Completed Response

```json
{json.dumps(completed, indent=2)}
```

Images come as the list `output.images`, a video as `output.video`, sound as `output.audio`, a 3D model as
`output.model`; `assets` lists the same files with type, size and checksum. A failed job has `output` null, `error`
with `code` and `message`, and `creditCost` 0."""


def _errors() -> str:
    rows = "\n".join(f"| `{kind.code}` | {kind.status} | {description} |" for kind, description in ERRORS)
    failures = "\n".join(f"- `{code}`: {description}" for code, description in FAILURES)
    return f"""## Error Codes

| Code | Status | Description |
|------|--------|-------------|
{rows}

A refused request costs nothing and is answered with
`{{"error": {{"code", "message", "status", "requestId", "details": [{{"path", "message"}}]}}}}`; the message says what
would be right. A job that was accepted and then failed is not charged either; its `error.code` is one of:
{failures}"""


def _limits(facts: ServerFacts) -> str:
    return f"""## Rate Limits

{facts.rate_per_minute} requests per minute for a key, over all endpoints, unless the key was made with a rate of its
own. Requests that need no key count by address instead, {facts.public_rate_per_minute} per minute. Answers carry
`X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (unix seconds); 429 adds `Retry-After`.

A request body may have {_megabytes(facts.max_body_bytes)} MB, a media file {_megabytes(facts.max_media_bytes)} MB."""


def _megabytes(size: int) -> str:
    return f"{size / 2**20:g}"


def _examples(catalog: Catalog, facts: ServerFacts) -> str:
    run = example_run(catalog)
    return f"""## Examples

### cURL

```bash
{curl_example(facts.base_url, run)}
```

### Python

```python
{python_example(facts.base_url, run)}
```

### JavaScript

```javascript
{javascript_example(facts.base_url, run)}
```"""


def _practices(facts: ServerFacts) -> str:
    practices = (
        "Keep API keys on your own servers: whoever holds one spends its credits.",
        "Poll with growing pauses (1 s at first, 30 s at most), or send `Prefer: wait="
        f"{facts.longest_wait_seconds}` with the run: the answer is then held until the job has ended, at most that "
        "many seconds, and is the whole job (200), else the usual 202.",
        "Send an `Idempotency-Key` (1 to 255 visible ASCII characters) with each run; the same key and body never "
        "make a second job, so a request without an answer can be sent again.",
        f"Fetch the files soon: job and files are deleted {facts.retention_hours:g} hours after the job has ended.",
        "Give a `seed` where the model takes one, for the same result again.",
        'In production, give a `webhook_url`: the job is posted there when it has ended, as `{"type": '
        '"job.completed" | "job.failed", "timestamp", "data": JOB}`, signed by Standard Webhooks with the '
        "secret of `GET /api/v1/webhooks/secret`, and again until it is answered 2xx.",
        "Give media as https addresses, `data:` URIs, or the `url` that an upload to `POST /api/v1/files` is answered "
        "with; they are fetched and checked before an upstream sees them.",
        "With a test key, rehearse trouble: the header `X-PixelDojo-Sandbox: fail=refused_content` ends the job as "
        "`content_rejected`, `slow=10` takes ten seconds; a wrong word is answered with the list of words.",
    )
    return "## Best Practices\n\n" + _numbered(practices)


def _numbered(lines: Iterable[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _links(catalog: Catalog, facts: ServerFacts) -> str:
    base = facts.base_url
    addresses = (
        *facts.pages,
        ("Models", f"{base}/api/v1/models"),
        ("One model in words", f"{base}/llm/{example_run(catalog).model_id}.txt"),
        ("OpenAPI Spec", f"{base}/api/openapi"),
        ("llms.txt", f"{base}/llms.txt"),
        ("API catalog (RFC 9727)", f"{base}/.well-known/api-catalog"),
    )
    return "## Links\n\n" + "\n".join(f"- {name}: {address}" for name, address in addresses)
