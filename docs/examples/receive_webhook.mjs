// Receives PixelDojo's webhooks and believes only those that are signed with your secret (GET /api/v1/webhooks/secret).
// Node alone, no packages: the signature is that of Standard Webhooks (https://www.standardwebhooks.com).
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const { PIXELDOJO_WEBHOOK_SECRET, PORT } = process.env;
if (!PIXELDOJO_WEBHOOK_SECRET?.startsWith("whsec_")) throw new Error("PIXELDOJO_WEBHOOK_SECRET must be whsec_…");
const key = Buffer.from(PIXELDOJO_WEBHOOK_SECRET.slice("whsec_".length), "base64");
const OLDEST_SECONDS = 300; // An older one may be a copy that somebody sends again.

function isOurs(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  if (!(Math.abs(Date.now() / 1000 - Number(timestamp)) <= OLDEST_SECONDS)) return false;
  const right = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // There are several while a secret is being rotated; one has to fit.
  return signatures.split(" ").some((signature) => {
    const [version, digest = ""] = signature.split(",");
    const given = Buffer.from(digest, "base64");
    return version === "v1" && given.length === right.length && timingSafeEqual(given, right);
  });
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts); // Byte for byte as it came: JSON that was parsed and written again has another signature.
  if (!isOurs(request.headers, body)) {
    response.writeHead(400).end();
    return;
  }
  response.writeHead(204).end(); // First answer, then work: after 15 seconds without an answer it is sent again.
  const { type, data } = JSON.parse(body);
  // The same webhook-id may come twice; whoever keeps the ids does the work once.
  console.log(JSON.stringify({ id: request.headers["webhook-id"], type, jobId: data.jobId, status: data.status }));
});
server.listen(Number(PORT ?? 9000), "127.0.0.1", () => console.log(`listening on port ${server.address().port}`));
