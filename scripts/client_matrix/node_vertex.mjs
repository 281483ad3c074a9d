// Vertex AI's services of v1 and v1beta1 with Google's library for Node, over gRPC.
import { createRequire } from "node:module";
import { credentials } from "@grpc/grpc-js";
import aiplatform from "@google-cloud/aiplatform";

const [url, address, project] = process.argv.slice(2);
const tried = [];
const [host, port] = address.split(":");
const patient = { timeout: 60_000 }; // The library takes seconds to read its messages when it is first used.
const parent = `projects/${project}/locations/us-central1`;
const jobSpec = { workerPoolSpecs: [{ replicaCount: 1, containerSpec: { imageUri: "gcr.io/i" } }] };

async function call(name, run) {
  try {
    await run();
    tried.push({ call: name, why: "" });
  } catch (error) {
    tried.push({ call: name, why: String(error.message ?? error).split("\n")[0] });
  }
}

function check(condition, found) {
  if (!condition) throw new Error(`found ${JSON.stringify(found)}`);
}

async function report(name, verb) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
  check((await fetch(`${url}/ledger/v1/${name}:${verb}`, options)).ok, verb);
}

for (const version of ["v1", "v1beta1"]) {
  const { JobServiceClient } = aiplatform[version];
  const client = new JobServiceClient({ servicePath: host, port: Number(port), sslCreds: credentials.createInsecure() });
  let job;
  await call(`createCustomJob (${version})`, async () => {
    [job] = await client.createCustomJob({ parent, customJob: { displayName: version, jobSpec } }, patient);
    check(job.state === "JOB_STATE_QUEUED", job.state);
  });
  await call(`getCustomJob (${version})`, async () => {
    await report(job.name, "started");
    const [found] = await client.getCustomJob({ name: job.name });
    check(found.state === "JOB_STATE_RUNNING", found.state);
  });
  await call(`listCustomJobs (${version})`, async () => {
    const [found] = await client.listCustomJobs({ parent, filter: `display_name="${version}"` });
    check(found.length === 1 && found[0].name === job.name, found);
  });
  await call(`cancelCustomJob (${version})`, async () => {
    await client.cancelCustomJob({ name: job.name });
    const [found] = await client.getCustomJob({ name: job.name });
    check(found.state === "JOB_STATE_CANCELLING", found.state);
  });
  await call(`deleteCustomJob (${version})`, async () => {
    await report(job.name, "cancelled");
    const [operation] = await client.deleteCustomJob({ name: job.name });
    await operation.promise();
  });
  await call(`getCustomJob (deleted; ${version})`, async () => {
    const code = await client.getCustomJob({ name: job.name }).then(() => 0, (error) => error.code);
    check(code === 5, code);
  });
  await client.close();
}
const require = createRequire(import.meta.url);
const version = require("@google-cloud/aiplatform/package.json").version;
console.log(JSON.stringify({ version, calls: tried }));
