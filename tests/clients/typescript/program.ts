// Runs a picture with the generated types, waits for it, and prints what they say.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

declare const process: { env: Record<string, string | undefined> };
const { PIXELDOJO_URL, PIXELDOJO_API_KEY } = process.env;
if (!PIXELDOJO_URL || !PIXELDOJO_API_KEY) throw new Error("PIXELDOJO_URL and PIXELDOJO_API_KEY say where to go");

const client = createClient<paths>({
  baseUrl: PIXELDOJO_URL,
  headers: { Authorization: `Bearer ${PIXELDOJO_API_KEY}` },
});
const picture: components["schemas"]["Flux1_1ProInput"] = {
  prompt: "A paper lantern in the rain",
  aspect_ratio: "16:9",
};

const estimate = await client.POST("/api/v1/models/{apiId}/estimate", {
  params: { path: { apiId: "flux-1.1-pro" } },
  body: picture,
});
if (estimate.error) throw new Error(estimate.error.error.message);

const key = { "Idempotency-Key": "typescript-lantern" };
const run = "/api/v1/models/flux-1.1-pro/run";
const accepted = await client.POST(run, { body: picture, params: { header: key } });
if (accepted.error) throw new Error(accepted.error.error.message);
// The same key and body never make a second job, so asking again with a preference waits for the first.
const waited = await client.POST(run, { body: picture, params: { header: { ...key, Prefer: "wait=60" } } });
if (waited.error) throw new Error(waited.error.error.message);
const job = waited.data;
if (!("output" in job)) throw new Error("the job did not end in time");
if (job.jobId !== accepted.data.jobId) throw new Error("the same key made a second job");
const [image, asset] = [job.output?.images?.[0], job.assets[0]];
if (!image || !asset) throw new Error("the job has no picture");

const refused = await client.POST(run, { body: { prompt: "A paper lantern", width: 512 } });
if (!refused.error) throw new Error("a width without a height was taken");

export const wrong: components["schemas"]["Flux1_1ProInput"][] = [
  // @ts-expect-error the model knows no such shape
  { prompt: "A paper lantern", aspect_ratio: "17:9" },
  // @ts-expect-error the model has no such input
  { prompt: "A paper lantern", promt: "A paper lantern" },
];

console.log(
  JSON.stringify({
    jobId: job.jobId,
    status: job.status,
    image,
    width: asset.width,
    height: asset.height,
    estimate: estimate.data.creditCost,
    creditCost: job.creditCost,
    refused: [refused.error.error.code, refused.error.error.details?.[0]?.path],
  }),
);
