"""Run a model and wait for the job. Needs: PIXELDOJO_URL, PIXELDOJO_API_KEY, and `pip install requests`."""

import os
import time

import requests

API_KEY = os.environ["PIXELDOJO_API_KEY"]
BASE_URL = f"{os.environ['PIXELDOJO_URL']}/api/v1"

model_schema = requests.get(f"{BASE_URL}/models/flux-1.1-pro/schema", timeout=30).json()

submit_response = requests.post(
    f"{BASE_URL}/models/flux-1.1-pro/run",
    headers={
        "Authorization": f"Bearer {API_KEY}",
        "Content-Type": "application/json",
    },
    json={"prompt": "A sunset", "aspect_ratio": "1:1", "webhook_url": "https://example.com/webhook"},
    timeout=30,
)
job = submit_response.json()

while True:
    status = requests.get(job["statusUrl"], headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30).json()

    if status["status"] in {"completed", "failed"}:
        print(status)
        break

    time.sleep(2)
