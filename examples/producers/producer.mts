// A producer in TypeScript, without packages: a chunk of mentions over REST, then what became of it.
//
//   node examples/producers/producer.mts        (Node 22.18 or later takes the types out by itself)
//
// WORKER_URL (http://127.0.0.1:8000) and WORKER_API_KEY (none) say where the worker is.

type Mention = { id?: string; text: string; created_at?: string; author?: string; source?: string; url?: string };
type Task = { type: "analyze_mentions"; brand: string; chunkId?: string; mentions: Mention[] };
type TaskRecord = { id: string; status: "queued" | "running" | "succeeded" | "failed"; result?: unknown; error?: unknown };

const url: string = (process.env.WORKER_URL ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
const key: string | undefined = process.env.WORKER_API_KEY;
const waitMs: number = 30_000;

const task: Task = {
  type: "analyze_mentions",
  brand: "acme",
  // The same chunk sent again is known by its id and content: nothing is stored or published twice.
  chunkId: "producer-typescript-1",
  mentions: [
    {
      id: "typescript-1",
      text: "Acme support answered in four minutes on a Sunday, thank you!",
      created_at: "2025-03-03T09:01:03Z",
      author: "user_6",
      source: "forum",
    },
  ],
};

function fail(why: string): never {
  console.error(why);
  process.exit(1);
}

async function ask(path: string, body?: Task): Promise<TaskRecord> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (key) headers["X-API-Key"] = key;
  const answer = await fetch(url + path, {
    method: body ? "POST" : "GET",
    headers,
    body: body ? JSON.stringify(body) : undefined,
    signal: AbortSignal.timeout(10_000),
  }).catch(({ message, cause }) =>
    fail(`${url} cannot be reached (${cause?.message ?? message}); is a worker running, does WORKER_URL name it?`),
  );
  // A refusal is a problem document that names the field.
  if (!answer.ok) fail(`${answer.status} ${await answer.text()}`);
  return (await answer.json()) as TaskRecord;
}

const { id } = await ask("/v1/tasks", task);
const until: number = Date.now() + waitMs;
let record: TaskRecord = await ask(`/v1/tasks/${encodeURIComponent(id)}`);
while (record.status !== "succeeded" && record.status !== "failed" && Date.now() < until) {
  await new Promise<void>((resolve) => setTimeout(resolve, 200));
  record = await ask(`/v1/tasks/${encodeURIComponent(id)}`);
}
console.log(JSON.stringify({ id, status: record.status, result: record.result }));
process.exitCode = record.status === "succeeded" ? 0 : 1;
