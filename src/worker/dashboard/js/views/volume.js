// How many posts, and when there were unusually many.
import { html, useState } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { TimeChart } from "../chart.js";
import { decimal, localMoment, number } from "../format.js";
import { useDocument, useList } from "../hooks.js";
import { Badge, Card, Empty, Loaded, More, ProblemBox, Table, Time } from "../ui.js";

const MINUTE = 60_000;
const RANGES = { "24 hours": { hours: 24, step: 15 * MINUTE }, "7 days": { hours: 168, step: 120 * MINUTE } };
const BUCKETS = 2016; // A week of five-minute buckets, as many as the service gives at once.
const SERIES = [{ name: "posts", colour: "c2", bars: true }];

export function Volume({ brand, asOf }) {
  const [chosen, setChosen] = useState("7 days");
  const range = RANGES[chosen];
  const end = asOf ? Math.floor(Date.parse(asOf) / range.step + 1) * range.step : null;
  const begin = end - range.hours * 3600_000;
  const volume = useDocument(asOf ? address(["brands", brand, "volume"], { since: begin, until: end, limit: BUCKETS }) : null, 15);
  const spikes = useList((cursor) => address(["brands", brand, "spikes"], { limit: 10, cursor }), brand, 15);
  const choice = html`<label>Span <select value=${chosen} onChange=${(event) => setChosen(event.target.value)}>
    ${Object.keys(RANGES).map((name) => html`<option value=${name} selected=${name === chosen}>${name}</option>`)}</select></label>`;
  const all = [...(spikes.first?.provisional ?? []), ...spikes.items];
  return html`<${Card} title="Volume and spikes" id="volume" aside=${asOf && choice}>
    ${asOf ? html`<${Loaded} of=${volume}>${(data) => html`<${Posts} data=${data} begin=${begin} end=${end} step=${range.step} spikes=${all} />`}<//>`
      : html`<${Empty}><p>No mention with a time has been counted yet.</p><//>`}
    <h3>Spikes</h3>
    ${spikes.problem && html`<${ProblemBox} problem=${spikes.problem} />`}
    ${spikes.first && !all.length && html`<${Empty}><p>No spike so far: volume has stayed within what is usual for this brand.</p><//>`}
    ${all.length > 0 && html`<${Table} caption="Spikes, newest first" rows=${all} rowKey=${(one) => one.id} columns=${COLUMNS} />`}
    <${More} list=${spikes} /><//>`;
}

const COLUMNS = [
  { name: "When", cell: (one) => html`<${Time} at=${one.timestamp} />${one.provisional && html` <${Badge} tone="muted" text="provisional" />`}` },
  { name: "Posts", cell: (one) => `${number(one.mentionCount)} in ${one.windowMinutes} min`, className: "num" },
  { name: "Usual", cell: (one) => decimal(one.baseline), className: "num" },
  { name: "Score", cell: (one) => decimal(one.spikeScore), className: "num" },
  { name: "About", cell: (one) => (one.topics?.length ? one.topics.map((topic) => topic.label ?? topic.id).join("; ") : "–"), className: "say" },
];

function Posts({ data, begin, end, step, spikes }) {
  const counts = new Array(Math.round((end - begin) / step)).fill(0);
  for (const bucket of data.items) {
    const place = Math.floor((Date.parse(bucket.timestamp) - begin) / step);
    if (place >= 0 && place < counts.length) counts[place] += bucket.count;
  }
  const times = counts.map((_, n) => (begin + n * step) / 1000);
  const marks = spikes.map((one) => Date.parse(one.timestamp) / 1000).filter((at) => at >= begin / 1000 && at < end / 1000);
  const sum = counts.reduce((all, count) => all + count, 0);
  const top = Math.max(...counts);
  const at = localMoment(times[counts.indexOf(top)] * 1000);
  const seen = marks.length === 1 ? "1 spike" : `${marks.length} spikes`;
  const summary = sum ? `${number(sum)} posts, at most ${number(top)} in ${step / MINUTE} minutes (${at}), ${seen}.` : "No posts in this span.";
  return html`<${TimeChart} title=${`Posts per ${step / MINUTE} minutes`} series=${SERIES} data=${[times, counts]} marks=${marks} summary=${summary} />`;
}
