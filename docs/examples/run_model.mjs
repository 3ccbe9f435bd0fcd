// Run a model and wait for the job. Needs: PIXELDOJO_URL, PIXELDOJO_API_KEY, and Node 18 or newer.
const { PIXELDOJO_URL, PIXELDOJO_API_KEY } = process.env;
const base = `${PIXELDOJO_URL}/api/v1`;

const schema = await fetch(`${base}/models/flux-1.1-pro/schema`);
const requestSchema = await schema.json();

const submit = await fetch(`${base}/models/flux-1.1-pro/run`, {
  method: "POST",
  headers: {
    "Authorization": `Bearer ${PIXELDOJO_API_KEY}`,
    "Content-Type": "application/json"
  },
  body: JSON.stringify({
    prompt: "A sunset",
    aspect_ratio: "1:1",
    webhook_url: "https://example.com/webhook"
  })
});
const job = await submit.json();

let result;
do {
  const status = await fetch(job.statusUrl, {
    headers: { "Authorization": `Bearer ${PIXELDOJO_API_KEY}` }
  });
  result = await status.json();
  if (result.status === "pending" || result.status === "processing") {
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
} while (result.status === "pending" || result.status === "processing");

console.log(JSON.stringify({ schema: requestSchema.schema, status: result.status, assets: result.assets, webhook: result.webhook }));
