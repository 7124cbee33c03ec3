// Who decided, and what it cost.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { number, percent, usd, words } from "../format.js";
import { useDocument } from "../hooks.js";
import { Card, Empty, Loaded, NotYet, Shares, Table } from "../ui.js";

const TIERS = { 1: "tier 1, rules", 2: "tier 2, on this machine", 3: "tier 3, language model" };

export function Tiers({ brand, summary }) {
  const costs = useDocument(address(["llm", "costs"], { by: "operation", brand }), 60);
  const counts = Object.entries(summary.tiers);
  const all = counts.reduce((sum, [, count]) => sum + count, 0);
  const parts = counts.map(([tier, count]) => ({ name: TIERS[tier] ?? `tier ${tier}`, share: count / all, text: `${number(count)} (${percent(count / all)})` }));
  return html`<${Card} title="Tiers and cost" id="tiers">
    ${all ? html`<${Shares} label="Verdicts by tier" parts=${parts} />` : html`<${Empty}><p>No verdict has been counted yet.</p><//>`}
    <h3>Language models, last 30 days</h3>
    <${Loaded} of=${costs}>${(data) => (data.items.length ? html`<p>${money(data.total)} for ${number(data.total.calls)} calls.</p>
      <${Table} caption="By what was asked" rows=${data.items} rowKey=${(one) => one.key ?? ""} columns=${COLUMNS} />`
      : html`<${Empty}><p>No call was made for this brand: it has cost ${usd("0")}.</p><//>`)}<//><//>`;
}

const COLUMNS = [
  { name: "Operation", cell: (one) => words(one.key ?? "other") },
  { name: "Calls", cell: (one) => number(one.calls), className: "num" },
  { name: "Failed", cell: (one) => number(one.failed), className: "num" },
  { name: "Tokens", cell: (one) => number(one.inputTokens + one.outputTokens), className: "num" },
  { name: "Cost", cell: money, className: "num" },
];

function money(figures) {
  if (figures.costUsd === null) return html`<${NotYet} reason="no price is known for these calls" />`;
  const missing = figures.callsWithoutPrice;
  return missing ? `at least ${usd(figures.costUsd)} (${number(missing)} calls without a known price)` : usd(figures.costUsd);
}
