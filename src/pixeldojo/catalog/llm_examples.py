"""The example programs of /llm.txt: submit a job and wait for it, in curl, Python and JavaScript.

Each runs as it is served, once the key is filled in. Owns the programs; leaves the text around them to `llm_texts`.
"""

import json
import shlex
from dataclasses import dataclass

from pixeldojo.catalog.load import Catalog
from pixeldojo.core.json_types import JsonObject

_MODEL_ID = "flux-1.1-pro"


@dataclass(frozen=True, slots=True)
class ExampleRun:
    """A request that the examples make: `model_id` is run with `body`."""

    model_id: str
    body: JsonObject


def example_run(catalog: Catalog) -> ExampleRun:
    """Return the request of the examples: a sunset, or where that model is not offered, the first one's own example."""
    for model in catalog.models:
        if model.id == _MODEL_ID:
            return ExampleRun(model.id, {"prompt": "A sunset", "aspect_ratio": "1:1"})
    return ExampleRun(catalog.models[0].id, catalog.models[0].example)


def curl_example(base: str, run: ExampleRun) -> str:
    """Return a shell script that submits a job, polls it, lists jobs and asks for the webhook again."""
    body = shlex.quote(_json({**run.body, "webhook_url": "https://example.com/webhook"}))
    return f"""# Submit a job; the answer names it
JOB_ID=$(curl -s -X POST "{base}/api/v1/models/{run.model_id}/run" \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d {body} \\
  | sed -E 's/.*"jobId":"([^"]+)".*/\\1/')

# Poll it until it has ended, for two minutes at most
for attempt in $(seq 60); do
  curl -s "{base}/api/v1/jobs/$JOB_ID" -H "Authorization: Bearer YOUR_API_KEY" \\
    | grep -E '"status":"(completed|failed)"' && break
  sleep 2
done

# List the newest jobs
curl -s "{base}/api/v1/jobs?limit=10" \\
  -H "Authorization: Bearer YOUR_API_KEY"

# Have the webhook of an ended job sent again
curl -s -X POST "{base}/api/v1/jobs/$JOB_ID/webhook" \\
  -H "Authorization: Bearer YOUR_API_KEY\""""


def python_example(base: str, run: ExampleRun) -> str:
    """Return a program for Python with `requests`."""
    # What JSON can say, repr says in Python: true is True there.
    body = repr(json.loads(_json(run.body)))
    return f"""import time
import uuid

import requests

API_KEY = "your_api_key"
BASE_URL = "{base}/api/v1"
HEADERS = {{"Authorization": f"Bearer {{API_KEY}}"}}

submitted = requests.post(
    f"{{BASE_URL}}/models/{run.model_id}/run",
    headers={{**HEADERS, "Idempotency-Key": str(uuid.uuid4())}},
    json={body},
    timeout=30,
)
submitted.raise_for_status()
status_url = submitted.json()["statusUrl"]

pause = 1.0
while True:
    answer = requests.get(status_url, headers=HEADERS, timeout=30)
    answer.raise_for_status()
    job = answer.json()
    if job["status"] in {{"completed", "failed"}}:
        break
    time.sleep(pause)
    pause = min(pause * 1.5, 30)

print(job["status"], job["error"] or job["output"])"""


def javascript_example(base: str, run: ExampleRun) -> str:
    """Return a module for Node 18 or newer."""
    return f"""const headers = {{
  "Authorization": "Bearer YOUR_API_KEY",
  "Content-Type": "application/json"
}};

const submitted = await fetch("{base}/api/v1/models/{run.model_id}/run", {{
  method: "POST",
  headers,
  body: JSON.stringify({_json(run.body)})
}});
if (!submitted.ok) throw new Error(await submitted.text());
const {{ statusUrl }} = await submitted.json();

let job;
for (let pause = 1000; ; pause = Math.min(pause * 1.5, 30000)) {{
  const answer = await fetch(statusUrl, {{ headers }});
  if (!answer.ok) throw new Error(await answer.text());
  job = await answer.json();
  if (job.status === "completed" || job.status === "failed") break;
  await new Promise((resolve) => setTimeout(resolve, pause));
}}

console.log(job.status, job.error ?? job.output);"""


def _json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, default=list)
