// Health of a brand with its parts, and how it was on the days before.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { TimeChart } from "../chart.js";
import { dayOf, decimal, percent, words } from "../format.js";
import { useDocument } from "../hooks.js";
import { Card, Empty, Loaded, NotYet, Table } from "../ui.js";

export const noon = (date) => Date.parse(`${date}T12:00:00Z`) / 1000;
export const dayText = (at) => dayOf(new Date(at * 1000).toISOString().slice(0, 10));
const hundred = () => [0, 100];

export function Health({ brand }) {
  const found = useDocument(address(["brands", brand, "health"], { limit: 90 }), 15);
  return html`<${Card} title="Health" id="health"><${Loaded} of=${found}>${(health) => html`
    <p class="level"><strong>${health.score === null ? html`<${NotYet} reason=${health.reason} />` : decimal(health.score)}</strong>
      ${health.score !== null && " of 100"}</p>
    ${health.score !== null && health.reason && html`<p class="note">${health.reason}</p>`}
    <${Parts} parts=${health.parts} /><${Days} items=${health.items} />`}<//><//>`;
}

function Parts({ parts }) {
  const rows = Object.entries(parts);
  if (!rows.length) return null;
  return html`<${Table} caption="Parts of the score" rows=${rows} rowKey=${([name]) => name} columns=${[
    { name: "Part", cell: ([name]) => words(name) },
    { name: "Points", cell: ([, part]) => (part.points === null ? html`<span class="notyet">not yet</span>` : decimal(part.points)), className: "num" },
    { name: "Weight", cell: ([, part]) => percent(part.weight), className: "num" },
    { name: "Why", cell: ([, part]) => part.reason, className: "say" },
  ]} />`;
}

function Days({ items }) {
  const days = items.toReversed();
  const known = days.filter((one) => one.score !== null);
  if (!known.length) return html`<${Empty}><p>No day has a score yet.</p><//>`;
  const first = known[0];
  const last = known.at(-1);
  const summary = `From ${decimal(first.score)} on ${dayOf(first.date)} to ${decimal(last.score)} on ${dayOf(last.date)}.`;
  return html`<${TimeChart} title="Health by day" series=${[{ name: "health", colour: "c1" }]} range=${hundred} summary=${summary} timeText=${dayText}
    figure=${decimal} data=${[days.map((one) => noon(one.date)), days.map((one) => one.score)]} />`;
}
