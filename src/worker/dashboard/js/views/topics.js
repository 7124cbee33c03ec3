// What people talk about: clusters of the brand's last week.
import { html, useState } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { number, percent, score } from "../format.js";
import { useDocument, useList } from "../hooks.js";
import { Badge, Card, Empty, Loaded, Loading, More, NotYet, ProblemBox, Table } from "../ui.js";
import { MentionList } from "./mentions.js";

export function Topics({ brand }) {
  const [open, setOpen] = useState(null);
  const list = useList((cursor) => address(["brands", brand, "clusters"], { limit: 10, cursor }), brand, 15);
  const show = (one) => html`<button type="button" class="linklike" aria-expanded=${open?.id === one.id} onClick=${() => setOpen(open?.id === one.id ? null : one)}>
    ${one.label ?? html`<${NotYet} reason="too few mentions to name it" />`}</button>${one.spike && html` <${Badge} tone="warn" text="spike" />`}`;
  return html`<${Card} title="Topics of the last 7 days" id="topics">
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && html`<${Empty}><p>No topic yet: one forms when several mentions are alike.</p><//>`}
    ${list.items.length > 0 && html`<${Table} caption="Topics, largest first" hideCaption rows=${list.items} rowKey=${(one) => one.id} columns=${[
      { name: "Topic", cell: show },
      { name: "Mentions", cell: (one) => number(one.mentions), className: "num" },
      { name: "Share", cell: (one) => percent(one.share), className: "num" },
      { name: "Sentiment", cell: (one) => score(one.sentimentScore), className: "num" },
    ]} />`}<${More} list=${list} />
    ${list.first?.alone > 0 && html`<p class="note">${number(list.first.alone)} of ${number(list.first.mentions)} mentions are alone in their topic.</p>`}
    ${open && html`<${Within} brand=${brand} topic=${open} />`}<//>`;
}

function Within({ brand, topic }) {
  const found = useDocument(address(["brands", brand, "mentions"], { topic: topic.id, limit: 5 }));
  return html`<h3>Newest in “${topic.label ?? topic.id}”</h3><${Loaded} of=${found}>${(data) =>
    html`<${MentionList} items=${data.items} label="Mentions of the topic" />`}<//>`;
}
