// The crisis thermometer: how high, made of what, why, and which mentions are behind it.
import { html, useState } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { decimal, number, words } from "../format.js";
import { useDocument, useList } from "../hooks.js";
import { Badge, Card, CRISIS_TONES, CrisisBadge, Empty, Loaded, More, NotYet, ProblemBox, Time } from "../ui.js";
import { MentionList } from "./mentions.js";

const PARTS = { velocity: "velocity", share: "share of negative people", intensity: "intensity", words: "crisis words" };

export function Crisis({ brand }) {
  const list = useList((cursor) => address(["brands", brand, "crisis"], { limit: 5, cursor }), brand, 15);
  const [open, setOpen] = useState(null);
  return html`<${Card} title="Crisis" id="crisis"><${Loaded} of=${{ data: list.first, problem: list.problem }}>${(crisis) => html`
    <${Thermometer} crisis=${crisis} />
    ${crisis.provisional.length > 0 && html`<h3>Would be told if nothing more came</h3>
      ${crisis.provisional.map((one) => html`<${Event} key=${one.id} brand=${brand} event=${one} open=${open} setOpen=${setOpen} />`)}`}
    <h3>What was told</h3>
    ${!list.items.length && html`<${Empty}><p>Nothing has been told of this brand. A crisis is judged an hour after the fact, against the brand's own usual days.</p><//>`}
    ${list.items.map((one) => html`<${Event} key=${one.id} brand=${brand} event=${one} open=${open} setOpen=${setOpen} />`)}
    <${More} list=${list} />`}<//><//>`;
}

function Thermometer({ crisis }) {
  const found = crisis.metrics;
  if (!found || found.riskScore === null) {
    return html`<p><${CrisisBadge} state=${crisis.state} /></p>
      <p>Risk: <${NotYet} reason=${found ? found.reasons.join("; ") : crisis.reason} /></p>`;
  }
  const parts = Object.entries(found.riskParts);
  return html`<div class="thermo">
    <p class="level"><${CrisisBadge} state=${crisis.state} /> <strong id="risk">${number(found.riskScore)}</strong> of 100</p>
    <div class="tube" role="meter" aria-label="Risk score" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${found.riskScore}
      aria-valuetext=${`${found.riskScore} of 100, ${crisis.state}`}>
      <span class=${`fill ${CRISIS_TONES[crisis.state] ?? "muted"}`} style=${{ width: `${found.riskScore}%` }}></span></div>
    <ul class="points">${parts.map(([name, points]) => html`<li key=${name}><strong>${decimal(points)}</strong> ${PARTS[name] ?? words(name)}</li>`)}</ul>
    <p class="note">Of the last hour judged, up to <${Time} at=${found.updatedAt} />.</p>
    <${Reasons} of=${found.reasons} none="Nothing unusual in that hour." /></div>`;
}

function Reasons({ of, none }) {
  return of.length ? html`<ul class="reasons">${of.map((one) => html`<li key=${one}>${one}</li>`)}</ul>` : html`<p>${none}</p>`;
}

const TONES = { watch: "warn", warning: "warn", critical: "bad", recovered: "good" };

function Event({ brand, event, open, setOpen }) {
  const shown = open === event.id;
  return html`<article class="event"><h4><${Badge} tone=${TONES[event.severity] ?? "muted"} text=${event.severity} />${" "}<${Time} at=${event.createdAt} />${event.riskScore !== null && html` <span>risk ${number(event.riskScore)}</span>`}</h4>
    <details><summary>Why</summary><${Reasons} of=${event.reasons} none="No reasons were kept." /></details>
    <p><strong>To do:</strong> ${event.recommendedAction}</p>
    ${event.evidence.length > 0 && html`<button type="button" aria-expanded=${shown} onClick=${() => setOpen(shown ? null : event.id)}>
      ${shown ? "Hide" : "Show"} the ${number(event.evidence.length)} mentions behind it</button>`}
    ${shown && html`<${Behind} brand=${brand} id=${event.id} />`}</article>`;
}

function Behind({ brand, id }) {
  const found = useDocument(address(["brands", brand, "crisis", "mentions"], { event: id }));
  return html`<${Loaded} of=${found}>${(data) => html`<${MentionList} items=${data.items} label="Mentions behind the crisis" />
    ${data.missing.length > 0 && html`<p class="note">${number(data.missing.length)} more are not at hand any more: archived or deleted.</p>`}
    ${found.problem && html`<${ProblemBox} problem=${found.problem} />`}`}<//>`;
}
