// What to type where there is nothing to see yet.
import { currentKey } from "./key.js";

export function curl(body) {
  const key = currentKey() === null ? "" : "  -H \"X-API-Key: $WORKER_API_KEY\" \\\n";
  return `curl ${location.origin}/v1/tasks \\\n${key}  -H 'content-type: application/json' \\\n  -d '${JSON.stringify(body)}'`;
}

export const firstMention = () => curl({
  type: "analyze_mentions", brand: "acme", mentions: [{ text: "I love Acme, but the app keeps crashing" }],
});

export const replay = "python -m src.worker.cli replay examples/mentions.csv";
