// Reports, the feed and a read of the past, with the types that openapi-typescript makes of the document.
import type { paths } from "./api.js";

type Json<Response> = Response extends { content: { "application/json": infer Body } } ? Body : never;
type Answer<Path extends keyof paths, Method extends keyof paths[Path]> =
  paths[Path][Method] extends { responses: { 200: infer Ok } } ? Json<Ok> : never;
type Body<Path extends keyof paths, Method extends keyof paths[Path]> =
  paths[Path][Method] extends { requestBody?: { content: { "application/json": infer Asked } } } ? Asked : never;

const [url, name] = process.argv.slice(2) as [string, string];
const of = (verb: string) => `${url}/ledger/v1/${name}:${verb}`;

async function send<T>(method: string, address: string, body?: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(address, { method, headers, body: body === undefined ? null : JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

const create: Body<"/ledger/v1/{name}:create", "post"> = { labels: { team: "a" } };
const made = await send<Answer<"/ledger/v1/{name}:create", "post">>("POST", of("create"), create);
const failed: Body<"/ledger/v1/{name}:failed", "post"> = { error: { code: 8, message: "out of memory" } };
await send<Answer<"/ledger/v1/{name}:started", "post">>("POST", of("started"), {});
const ended = await send<Answer<"/ledger/v1/{name}:failed", "post">>("POST", of("failed"), failed);

const past = await send<Answer<"/ledger/v1/{name}", "get">>("GET", `${url}/ledger/v1/${name}?asOf=v2`);
const history = await send<Answer<"/ledger/v1/{name}/events", "get">>("GET", `${url}/ledger/v1/${name}/events`);
const after = made.events[0]!.position - 1;
const feed = await send<Answer<"/ledger/v1/events", "get">>("GET", `${url}/ledger/v1/events?after=${after}`);
const states: (string | null)[] = history.events.map((event) => event.state);
const seen: string[] = feed.events.filter((event) => event.name === name).map((event) => event.type);
console.log(JSON.stringify({ created: made.job.state, ended: ended.job.errorMessage, past: past.state, states, seen }));
