// What happens now: server-sent events read through fetch, because EventSource cannot send the header with the key.
import { useEffect, useState } from "../vendor/htm-preact/standalone.module.js";
import { Problem, send } from "./api.js";

const SILENT_MS = 20_000; // The service sends something every 15 s at least.
const AGAIN_MS = [500, 1_000, 2_000, 4_000, 8_000];
const POINTS = 300; // Five minutes, a point per second.
const TASKS = 12;

// `state`: connecting, live or lost. `points`: [seconds, waiting, finished per second or null] of this visit.
let now = { state: "connecting", problem: null, overview: null, tasks: [], points: [] };
const listeners = new Set();
let running = null;

export function useLive() {
  const [shown, setShown] = useState(now);
  useEffect(() => {
    listeners.add(setShown);
    setShown(now);
    return () => listeners.delete(setShown);
  }, []);
  return shown;
}

// Listens until the returned function is called.
export function listen() {
  running?.abort();
  const leaving = (running = new AbortController());
  stay(leaving.signal);
  return () => leaving.abort();
}

async function stay(signal) {
  for (let failed = 0; !signal.aborted; failed += 1) {
    const began = Date.now();
    let problem = null;
    try {
      await read(signal);
    } catch (error) {
      problem = error instanceof Problem ? error : null;
    }
    if (signal.aborted) return;
    if (Date.now() - began > 10_000) failed = 0;
    tell({ state: "lost", problem });
    const pause = AGAIN_MS[Math.min(failed, AGAIN_MS.length - 1)];
    await rest(pause * (0.75 + Math.random() / 2), signal); // All pages of a restarted service must not come at once.
  }
}

// One connection until it ends. Resolves or throws when it is over.
async function read(signal) {
  const line = new AbortController();
  const abort = () => line.abort();
  signal.addEventListener("abort", abort);
  let alarm = setTimeout(abort, SILENT_MS);
  try {
    const response = await send("/v1/events", { accept: "text/event-stream", signal: line.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(alarm);
      alarm = setTimeout(abort, SILENT_MS);
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) heard(block);
    }
  } finally {
    clearTimeout(alarm);
    signal.removeEventListener("abort", abort);
  }
}

function heard(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  if (!fields.data) return;
  const data = JSON.parse(fields.data);
  if (fields.event === "overview") {
    tell({ state: "live", problem: null, overview: data, points: withPoint(now.points, data) });
  } else if (fields.event === "tasks") {
    tell({ tasks: [...data.items.toReversed(), ...now.tasks].slice(0, TASKS) });
  }
}

function withPoint(points, overview) {
  const waiting = overview.queue.problem ? null : total(overview.queue.waiting);
  return [...points.slice(1 - POINTS), [Date.parse(overview.at) / 1000, waiting, overview.finished.perSec]];
}

export function total(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function tell(change) {
  now = { ...now, ...change };
  for (const listener of listeners) listener(now);
}

function rest(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    }, { once: true });
  });
}
