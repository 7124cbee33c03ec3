// Mentions with their verdicts and why they were judged so.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { percent, score, words } from "../format.js";
import { useList } from "../hooks.js";
import { Badge, Card, Empty, Loading, More, OutsideLink, ProblemBox, SENTIMENT_TONES, Time } from "../ui.js";

export function Mentions({ brand }) {
  const list = useList((cursor) => address(["brands", brand, "mentions"], { limit: 10, cursor }), brand, 15);
  return html`<${Card} title="Latest mentions" id="mentions" wide>
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && html`<${Empty}><p>No mention is at hand: they were archived, or none has come yet.</p><//>`}
    <${MentionList} items=${list.items} label="Latest mentions" /><${More} list=${list} /><//>`;
}

export function MentionList({ items, label }) {
  if (!items.length) return null;
  return html`<ul class="posts" aria-label=${label}>${items.map((one) => html`<li key=${one.content_hash}><${Mention} mention=${one} /></li>`)}</ul>`;
}

function Mention({ mention }) {
  const { sentiment } = mention;
  return html`<article>
    <p class="meta"><${Badge} tone=${SENTIMENT_TONES[sentiment.label]} text=${sentiment.label} /> ${score(sentiment.score)}
      ${` · ${words(mention.intent)}`} · ${words(mention.priority)} · confidence ${percent(mention.confidence)} · tier ${mention.tier}
      ${mention.degraded && html` · <${Badge} tone="warn" text="degraded" />`}</p>
    <p class="text">${mention.text}</p>
    <p class="meta"><${OutsideLink} url=${mention.url}>${mention.author ?? "unsigned"}<//> · ${mention.source} · <${Time} at=${mention.created_at} /></p>
    ${mention.reasons.length > 0 && html`<ul class="why" aria-label="Why it was judged so">${mention.reasons.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}
  </article>`;
}
