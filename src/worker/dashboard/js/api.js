// Requests to /v1. Every failure is a Problem: what the service said in its problem document, or that it said nothing.
import { currentKey, keyRefused } from "./key.js";

export class Problem extends Error {
  constructor(status, title, detail, field = null) {
    super(detail);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.field = field;
  }
}

// The response of a request that succeeded. `path` begins with /v1/.
export async function send(path, { method = "GET", body = null, signal = null, accept = "application/json" } = {}) {
  const key = currentKey();
  const headers = { Accept: accept };
  if (key !== null) headers["X-API-Key"] = key;
  if (body !== null) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, body: body === null ? null : JSON.stringify(body), cache: "no-store", credentials: "omit",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "No answer", "The service cannot be reached. The page tries again by itself.");
  }
  if (response.ok) return response;
  const problem = await readProblem(response);
  if (response.status === 401) keyRefused(key, problem.detail);
  throw problem;
}

export async function get(path, signal = null) {
  return (await send(path, { signal })).json();
}

// Does something. The answer is read to its end, so that its connection is free again.
export async function act(path, method) {
  await (await send(path, { method })).text();
}

// A path from parts that may hold anything, with a query of those values that are not null.
export function address(parts, query = {}) {
  const path = `/v1/${parts.map(encodeURIComponent).join("/")}`;
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined));
  return words.size ? `${path}?${words}` : path;
}

async function readProblem(response) {
  let document = {};
  try {
    document = await response.json();
  } catch {
    // A proxy's own page, for instance.
  }
  const title = document.title ?? `HTTP ${response.status}`;
  const detail = document.detail ?? `The service answered with status ${response.status} and no explanation.`;
  return new Problem(response.status, title, detail, document.field ?? null);
}
