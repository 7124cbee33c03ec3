// People who could be won, or lost.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { number, percent, words } from "../format.js";
import { useList } from "../hooks.js";
import { Card, Empty, Loading, More, OutsideLink, ProblemBox, Time } from "../ui.js";

export function Leads({ brand }) {
  const list = useList((cursor) => address(["brands", brand, "leads"], { limit: 5, cursor }), brand, 15);
  return html`<${Card} title="Leads" id="leads">
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && html`<${Empty}><p>Nobody has shown a wish to buy, to leave or to come over yet.</p><//>`}
    ${list.items.length > 0 && html`<ul class="posts">${list.items.map((one) => html`<li key=${one.id}><article>
      <p class="meta"><strong>${words(one.kind)}</strong> · score ${number(one.leadScore)} · confidence ${percent(one.confidence)}
        ${` · ${words(one.status)}`}</p>
      <p class="text">${one.text}</p>
      <p class="meta"><${OutsideLink} url=${one.url}>${one.author ?? "unsigned"}<//> · ${one.source} · <${Time} at=${one.lastMentionAt} /></p>
    </article></li>`)}</ul>`}<${More} list=${list} /><//>`;
}
