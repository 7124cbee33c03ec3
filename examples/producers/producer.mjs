// A producer in JavaScript for any Node, without packages: it speaks to Redis itself (RESP over a socket), as any Redis
// client does: XADD to the stream, then GET of the record until the task has ended.
//
//   node examples/producers/producer.mjs
//
// REDIS_URL (redis://127.0.0.1:6379/0) says where the queue is; the worker's start prints the URL of its own server.

import net from "node:net";

const url = new URL(process.env.REDIS_URL ?? "redis://127.0.0.1:6379/0");
const waitMs = 30_000;
const task = {
  type: "analyze_mentions",
  // An id of one's own, to find the record by. (Over REST a second task of a known id is refused its run; here `dedupKey`
  // is what makes two tasks one. A chunk is known by its chunkId and content anyway.)
  id: `producer-javascript-${process.env.RUN ?? "1"}`,
  brand: "acme",
  chunkId: "producer-javascript-1",
  mentions: [
    {
      id: "javascript-1",
      text: "Does Acme have an API? I could not find it in the docs.",
      created_at: "2025-03-03T09:41:17Z",
      author: "user_35",
      source: "forum",
    },
  ],
};

/** One connection. Commands are answered in the order they were sent. */
class Redis {
  #socket;
  #waiting = [];
  #read = Buffer.alloc(0);

  constructor({ hostname, port }) {
    this.#socket = net.connect({ host: hostname, port: Number(port || 6379) });
    this.#socket.setTimeout(10_000, () => this.#socket.destroy(new Error("no answer in 10 s")));
    this.#socket.on("data", (part) => this.#take(part));
    this.#socket.on("error", (error) => this.#waiting.splice(0).forEach(({ reject }) => reject(error)));
  }

  /** A command is an array of bulk strings: *2 CRLF $3 CRLF GET CRLF $1 CRLF k CRLF. */
  call(...words) {
    const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("");
    this.#socket.write(`*${words.length}\r\n${bulk}`);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close() {
    this.#socket.end();
  }

  /** Replies of the commands used here: simple string, error, integer, bulk string or none. */
  #take(part) {
    this.#read = Buffer.concat([this.#read, part]);
    for (;;) {
      const end = this.#read.indexOf("\r\n");
      if (end < 0) return;
      const head = this.#read.toString("utf8", 1, end);
      const kind = String.fromCharCode(this.#read[0]);
      let next = end + 2;
      let value = head;
      if (kind === "$") {
        const size = Number(head);
        if (size >= 0) {
          if (this.#read.length < next + size + 2) return;
          value = this.#read.toString("utf8", next, next + size);
          next += size + 2;
        } else value = null;
      }
      this.#read = this.#read.subarray(next);
      const { resolve, reject } = this.#waiting.shift();
      if (kind === "-") reject(new Error(head));
      else resolve(value);
    }
  }
}

// An error at any `await` below ends here: one line, code 1.
process.on("uncaughtException", (error) => {
  console.error(`${url.host}: ${error.message}; does REDIS_URL name the worker's Redis? Its start prints the URL.`);
  process.exit(1);
});
const redis = new Redis(url);
if (url.password) await redis.call("AUTH", ...(url.username ? [url.username] : []), decodeURIComponent(url.password));
await redis.call("SELECT", url.pathname.slice(1) || "0");
await redis.call("XADD", "worker:tasks:normal", "*", "task", JSON.stringify(task));
const until = Date.now() + waitMs;
let record = null;
while (!["succeeded", "failed"].includes(record?.status) && Date.now() < until) {
  await new Promise((resolve) => setTimeout(resolve, 200));
  record = JSON.parse(await redis.call("GET", `worker:result:${task.id}`));
}
redis.close();
console.log(JSON.stringify({ id: task.id, status: record?.status ?? "queued", result: record?.result }));
process.exitCode = record?.status === "succeeded" ? 0 : 1;
