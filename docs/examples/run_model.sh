#!/usr/bin/env bash
# Run a model, look at the job, list jobs, have the webhook sent again.
# Needs: PIXELDOJO_URL (http://127.0.0.1:8000), PIXELDOJO_API_KEY, and curl.
set -euo pipefail

# Submit a job
curl -sS -X POST "$PIXELDOJO_URL/api/v1/models/flux-1.1-pro/run" \
  -H "Authorization: Bearer $PIXELDOJO_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"prompt": "A sunset", "aspect_ratio": "1:1", "webhook_url": "https://example.com/webhook"}' \
  | tee submitted.json
JOB_ID=$(sed -E 's/.*"jobId":"([^"]+)".*/\1/' submitted.json)

# Poll for results
until curl -sS "$PIXELDOJO_URL/api/v1/jobs/$JOB_ID" \
  -H "Authorization: Bearer $PIXELDOJO_API_KEY" \
  | tee job.json | grep -qE '"status":"(completed|failed)"'; do
  sleep 1
done
cat job.json

# List recent jobs
curl -sS "$PIXELDOJO_URL/api/v1/jobs?limit=10" \
  -H "Authorization: Bearer $PIXELDOJO_API_KEY" > jobs.json

# Send the webhook of an ended job again
curl -sS -X POST "$PIXELDOJO_URL/api/v1/jobs/$JOB_ID/webhook" \
  -H "Authorization: Bearer $PIXELDOJO_API_KEY" > replay.json
