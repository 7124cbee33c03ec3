// What could not be processed: why, and what to do with it.
import { html, useEffect, useRef, useState } from "../../vendor/htm-preact/standalone.module.js";
import { act, address } from "../api.js";
import { number, words } from "../format.js";
import { useList } from "../hooks.js";
import { Card, Confirm, Empty, Loading, More, ProblemBox, Table, Time } from "../ui.js";

// `count`: how many there are as far as the live figures know; the list is read again when it changes.
export function DeadLetters({ count }) {
  const list = useList((cursor) => address(["dead-letters"], { limit: 20, cursor }), "dead", 10);
  const [ask, setAsk] = useState(null);
  const [said, setSaid] = useState("");
  const known = useRef(count);
  useEffect(() => {
    if (count !== known.current && known.current !== null && !ask) list.reload();
    known.current = count;
  }, [count]);
  const moved = useRef(false);
  const done = (happened) => {
    if (happened) {
      setSaid(ask.said);
      list.reload();
    }
    moved.current = happened;
    setAsk(null);
  };
  useEffect(() => {
    // The button that was pressed goes with its row. A dialog that closes gives the focus back to it, so this comes after.
    if (!ask && moved.current) document.getElementById("dead-letters").focus();
    if (!ask) moved.current = false;
  }, [ask]);
  return html`<${Card} title="Dead letters" id="dead-letters" wide>
    <p class="said" role="status">${said}</p>
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}
    ${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && !list.more && html`<${Empty}><p>There are none: everything that came in could be processed.</p><//>`}
    ${list.items.length > 0 && html`<${Table} caption="What could not be processed, newest first" rows=${list.items} rowKey=${(one) => one.id}
      columns=${columns((one) => setAsk(replaying(one)), (one) => setAsk(dropping(one)))} />`}
    <${More} list=${list} /><${Confirm} ask=${ask} done=${done} /><//>`;
}

function columns(replay, drop) {
  return [
    { name: "Reason", cell: (one) => html`<span class="reason">${one.reason}</span><${Task} letter=${one} />` },
    { name: "Type", cell: (one) => (one.type ? words(one.type) : "unknown") },
    { name: "Brand", cell: (one) => one.brand || "–" },
    { name: "Attempts", cell: (one) => (one.attempts === null ? "–" : number(one.attempts)), className: "num" },
    { name: "At", cell: (one) => html`<${Time} at=${one.at} />` },
    { name: "Actions", cell: (one) => html`<div class="actions">
      <button type="button" onClick=${() => replay(one)} aria-label=${`Replay ${one.id}`}>Replay</button>
      <button type="button" class="danger" onClick=${() => drop(one)} aria-label=${`Drop ${one.id}`}>Drop</button></div>` },
  ];
}

function Task({ letter }) {
  const text = typeof letter.task === "string" ? letter.task : JSON.stringify(letter.task, null, 1);
  return html`<details><summary>Task (${number(letter.taskBytes)} bytes)</summary>
    <pre class="code" tabindex="0">${text.slice(0, 4000)}${text.length > 4000 ? " …" : ""}</pre></details>`;
}

const named = (letter) => `${letter.type ? words(letter.type) : "Task"}${letter.brand ? ` of ${letter.brand}` : ""}: ${letter.reason}`;

function replaying(letter) {
  return {
    title: "Replay this task?", text: named(letter), yes: "Replay", said: `Dead letter ${letter.id} was put back into the queue.`,
    act: () => act(address(["dead-letters", letter.id, "replay"]), "POST"),
  };
}

function dropping(letter) {
  return {
    title: "Drop this task for good?", text: named(letter), yes: "Drop", danger: true, said: `Dead letter ${letter.id} was dropped.`,
    act: () => act(address(["dead-letters", letter.id]), "DELETE"),
  };
}
