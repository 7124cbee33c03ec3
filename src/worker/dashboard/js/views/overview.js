// The control room: what waits, who works, what failed, what it costs, how the brands are.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { TimeChart } from "../chart.js";
import { firstMention, replay } from "../commands.js";
import { decimal, duration, localSeconds, number, usd, words } from "../format.js";
import { useList } from "../hooks.js";
import { total, useLive } from "../live.js";
import { brandAddress } from "../router.js";
import { Badge, Card, Code, CrisisBadge, Empty, Loading, More, NotYet, ProblemBox, Stat, Table, Time } from "../ui.js";
import { DeadLetters } from "./deadletters.js";

export function Overview() {
  const live = useLive();
  const figures = live.overview;
  return html`<h1>Overview</h1>
    ${live.problem && html`<${ProblemBox} problem=${live.problem} />`}
    ${figures ? html`<${Figures} figures=${figures} points=${live.points} tasks=${live.tasks} />` : !live.problem && html`<${Loading} />`}
    <${Brands} /><${DeadLetters} count=${figures?.queue.dead ?? null} />
    ${figures?.llm && html`<${Models} llm=${figures.llm} />`}`;
}

function Figures({ figures, points, tasks }) {
  const { queue, workers, finished, worker, llm } = figures;
  return html`<div class="grid">
    <${Card} title="Now" id="now" wide>
      ${queue.problem && html`<${ProblemBox} problem=${{ title: "Queue", detail: queue.problem }} />`}
      <dl class="stats">
        ${!queue.problem && html`<${QueueStats} queue=${queue} />`}
        <${Stat} name="Finished per second" id="rate" value=${finished.perSec === null ? html`<${NotYet} reason=${finished.reason} />`
          : `${finished.atLeast ? "≥ " : ""}${decimal(finished.perSec)}`} />
        <${Stat} name="Workers alive" id="workers" value=${workers.problem ? html`<${NotYet} reason=${workers.problem} />`
          : workers.alive === null ? html`<${NotYet} reason=${workers.reason} />` : number(workers.alive)}
          note=${`this one: ${words(worker.state)}`} tone=${workers.alive === 0 ? "bad" : ""} />
        ${llm && html`<${CostStat} llm=${llm} />`}
      </dl>
      <${WorkerNames} workers=${workers} />
    <//>
    <${Card} title="Queue" id="queue"><${QueueChart} points=${points} />
      ${!queue.problem && html`<${Priorities} queue=${queue} />`}<//>
    <${Card} title="Rate" id="throughput"><${RateChart} points=${points} /><${Recent} tasks=${tasks} /><//>
  </div>`;
}

function QueueStats({ queue }) {
  const waiting = total(queue.waiting);
  const ages = Object.values(queue.oldestSec).filter((age) => age !== null);
  return html`<${Stat} name="Waiting" id="waiting" value=${number(waiting)} note=${queue.parked ? `${number(queue.parked)} of them in lanes` : null} />
    <${Stat} name="In flight" id="in-flight" value=${number(queue.inFlight)} />
    <${Stat} name="Delayed" id="delayed" value=${number(queue.delayed)} />
    <${Stat} name="Oldest waits" value=${ages.length ? duration(Math.max(...ages)) : "–"} note=${ages.length ? null : "nothing waits"} />
    <${Stat} name="Dead letters" id="dead" value=${number(queue.dead)} tone=${queue.dead ? "bad" : ""} />`;
}

function CostStat({ llm }) {
  const { today, budget } = llm;
  if (!today || today.problem) {
    return html`<${Stat} name="Cost today (UTC)" value=${html`<${NotYet} reason=${today?.problem ?? llm.problem} />`} />`;
  }
  const note = !budget ? "no daily budget is set" : budget.problem ?? `${usd(budget.leftUsd)} of ${usd(budget.limitUsd)} left`;
  const cost = today.costUsd === null ? html`<${NotYet} reason="no price is known" />` : usd(today.costUsd);
  return html`<${Stat} name="Cost today (UTC)" id="cost" value=${cost} note=${`${number(today.calls)} calls, ${note}`} />`;
}

function WorkerNames({ workers }) {
  if (!workers.names?.length) return null;
  const more = workers.alive - workers.names.length;
  return html`<details><summary>Which workers</summary><ul class="plain">${workers.names.map((name) => html`<li key=${name}>${name}</li>`)}</ul>
    ${more > 0 && html`<p>and ${number(more)} more</p>`}</details>`;
}

const seconds = (at) => localSeconds(at * 1000);

function QueueChart({ points }) {
  const last = points.at(-1);
  const known = points.map((one) => one[1]).filter((value) => value !== null);
  const summary = !known.length ? "Nothing has been measured yet."
    : `${number(known.at(-1))} waiting now, ${number(Math.max(...known))} at most, over ${duration(last[0] - points[0][0])} of this visit.`;
  return html`<${TimeChart} title="Tasks waiting" series=${[{ name: "waiting", colour: "c1" }]} summary=${summary}
    data=${[points.map((one) => one[0]), points.map((one) => one[1])]} timeText=${seconds} spanSec=${60} />`;
}

function RateChart({ points }) {
  const known = points.map((one) => one[2]).filter((value) => value !== null);
  const summary = known.length ? `${decimal(known.at(-1))} per second now, ${decimal(Math.max(...known))} at most during this visit.`
    : "Nothing has been measured yet.";
  return html`<${TimeChart} title="Tasks finished per second" series=${[{ name: "per second", colour: "c2" }]} summary=${summary}
    data=${[points.map((one) => one[0]), points.map((one) => one[2])]} figure=${decimal} timeText=${seconds} spanSec=${60} />`;
}

function Priorities({ queue }) {
  const age = (name) => (queue.oldestSec[name] === null ? "–" : duration(queue.oldestSec[name]));
  return html`<${Table} caption="Waiting by priority" rows=${Object.keys(queue.waiting)} rowKey=${(name) => name} columns=${[
    { name: "Priority", cell: words },
    { name: "Waiting", cell: (name) => number(queue.waiting[name]), className: "num" },
    { name: "Oldest", cell: age, className: "num" },
  ]} />`;
}

function Recent({ tasks }) {
  if (!tasks.length) return html`<${Empty}><p>No task has ended since you came. Send one:</p><${Code} text=${firstMention()} /><//>`;
  return html`<${Table} caption="Tasks that ended last" rows=${tasks} rowKey=${(one) => `${one.id} ${one.finishedAt}`} columns=${[
    { name: "Type", cell: (one) => words(one.type ?? "unknown") },
    { name: "Brand", cell: (one) => one.brand ?? "–" },
    { name: "Ended", cell: (one) => (one.finishedAt ? seconds(Date.parse(one.finishedAt) / 1000) : "–") },
    { name: "Status", cell: (one) => html`<${Badge} tone=${one.status === "succeeded" ? "good" : "bad"} text=${one.status} />` },
  ]} />`;
}

function Brands() {
  const list = useList((cursor) => address(["brands"], { limit: 50, cursor }), "brands", 5);
  return html`<${Card} title="Brands" id="brands" wide>
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}
    ${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && html`<${Empty}><p>No brand is known yet. Send a first mention:</p><${Code} text=${firstMention()} />
      <p>or a file of them:</p><${Code} text=${replay} /><//>`}
    ${list.items.length > 0 && html`<${Table} caption="Brands that are known" hideCaption rows=${list.items} rowKey=${(one) => one.brand} columns=${BRAND_COLUMNS} />`}
    <${More} list=${list} /><//>`;
}

const BRAND_COLUMNS = [
  { name: "Brand", cell: (one) => html`<a href=${brandAddress(one.brand)}>${one.brand}</a>` },
  { name: "Mentions", cell: (one) => number(one.totalMentions), className: "num" },
  { name: "Health", cell: (one) => (one.healthScore === null ? html`<${NotYet} reason="too little is known" />` : decimal(one.healthScore)), className: "num" },
  { name: "Crisis", cell: (one) => html`<${CrisisBadge} state=${one.crisisState} />` },
  { name: "Spike", cell: (one) => (one.spikeDetected ? html`<${Badge} tone="warn" text="spike" />` : "no") },
  { name: "Newest mention", cell: (one) => (one.asOf ? html`<${Time} at=${one.asOf} />` : html`<${NotYet} reason="no mention has a time" />`) },
];

const STATES = { ready: "good", resting: "warn", half_open: "warn", open: "bad", left_out: "muted" };

function Models({ llm }) {
  if (llm.problem) return html`<${Card} title="Language models" id="llm" wide><${ProblemBox} problem=${{ title: "Language models", detail: llm.problem }} /><//>`;
  const used = llm.providers.filter((one) => one.state !== "left_out");
  const out = llm.providers.filter((one) => one.state === "left_out");
  const cost = (one) => llm.today.byProvider?.[one.provider]?.costUsd;
  return html`<${Card} title="Language models" id="llm" wide>
    ${used.length ? html`<${Table} caption="Providers in the order in which they are asked" rows=${used} rowKey=${(one) => one.provider} columns=${[
      { name: "Provider", cell: (one) => one.provider },
      { name: "Model", cell: (one) => one.model ?? html`<${NotYet} reason="no model is set" />` },
      { name: "State", cell: (one) => html`<${Badge} tone=${STATES[one.state] ?? "muted"} text=${one.state} />` },
      { name: "Why", cell: (one) => one.why ?? "–" },
      { name: "Cost today", cell: (one) => (cost(one) ? usd(cost(one)) : "–"), className: "num" },
    ]} />` : html`<${Empty}><p>No language model is configured: tiers 1 and 2 decide alone, at no cost. To use one, set a key such as${" "}
      <code>GEMINI_API_KEY</code> or <code>OLLAMA_BASE_URL</code> and start the worker again.</p><//>`}
    ${out.length > 0 && html`<details><summary>${number(out.length)} left out</summary><ul class="plain">${out.map((one) =>
      html`<li key=${one.provider}><strong>${one.provider}</strong>: ${one.why}</li>`)}</ul></details>`}<//>`;
}
