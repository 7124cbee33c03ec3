// BullMQ on Node: the counterpart of bench/queue/_side.py with the same command line and the same result file.
// Completed jobs are kept with their result, its default. NODE_PATH names where bullmq is installed.
'use strict';
const fs = require('fs');
const { Queue, Worker } = require('bullmq');

const BULK = 1000;
const SLEEP_MS = 10;
const role = process.argv[2];
const given = {};
for (let at = 3; at < process.argv.length; at += 2) given[process.argv[at].slice(2)] = process.argv[at + 1];
const count = Number(given.count);
const rate = Number(given.rate || 0);
const url = new URL(given.url);
const connection = { host: url.hostname, port: Number(url.port), maxRetriesPerRequest: null };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const nowNs = () => Number(process.hrtime.bigint()); // the monotonic clock that the other sides read

async function enqueue() {
  const queue = new Queue('bench', { connection });
  const begin = performance.now();
  for (let start = 0; rate && start < count; start += 1) {
    await pause(Math.max(0, begin + (start * 1000) / rate - performance.now()));
    await queue.add('run', { number: start, sent: nowNs() });
  }
  for (let start = 0; !rate && start < count; start += BULK) {
    const numbers = Array.from({ length: Math.min(BULK, count - start) }, (_, index) => start + index);
    await queue.addBulk(numbers.map((number) => ({ name: 'run', data: { number, sent: 0 } })));
  }
  await queue.close();
}

function peakRssMb() {
  const line = fs.existsSync('/proc/self/status') && /VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'));
  return line ? Number(line[1]) / 1024 : process.resourceUsage().maxRSS / 1024;
}

function work() {
  let first = 0;
  let done = 0;
  let cpu = null;
  const seen = new Uint8Array(count);
  const waits = [];
  const write = () => {
    const last = nowNs();
    const used = process.cpuUsage(cpu);
    const result = {
      done,
      distinct: seen.reduce((sum, one) => sum + one, 0),
      first_ns: first,
      last_ns: last,
      cpu_ns: (used.user + used.system) * 1000,
      peak_rss_mb: peakRssMb(),
      waits_ns: waits,
    };
    fs.writeFileSync(`${given.out}.part`, JSON.stringify(result));
    fs.renameSync(`${given.out}.part`, given.out);
  };
  const run = async (job) => {
    const now = nowNs();
    if (!first) {
      first = now;
      cpu = process.cpuUsage();
    }
    if (job.data.sent) waits.push(now - job.data.sent);
    seen[job.data.number] = 1;
    if (given.kind === 'sleep') await pause(SLEEP_MS);
    done += 1;
    if (done === count) write();
  };
  new Worker('bench', run, { connection, concurrency: Number(given.concurrency || 100) });
}

if (role === 'enqueue') enqueue().catch((error) => { console.error(error); process.exit(1); });
else work();
