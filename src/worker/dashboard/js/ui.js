// The pieces all views are made of. Whatever comes from outside is a text node or an attribute, never markup.
import { html, useEffect, useRef, useState } from "../vendor/htm-preact/standalone.module.js";
import { localMoment, utc, webLink, words } from "./format.js";

export function Card({ title, id, wide = false, aside = null, children }) {
  return html`<section class=${wide ? "card wide" : "card"} aria-labelledby=${id}>
    <div class="head"><h2 id=${id} tabindex="-1">${title}</h2>${aside}</div>
    ${children}
  </section>`;
}

export function Stat({ name, value, note = null, tone = "", id = null }) {
  return html`<div class=${`stat ${tone}`}><dt>${name}</dt><dd id=${id}>${value}</dd>
    ${note && html`<dd class="note">${note}</dd>`}</div>`;
}

// A figure that does not exist, and why.
export function NotYet({ reason }) {
  return html`<span class="notyet" title=${reason}>not yet<small>${reason}</small></span>`;
}

export function Time({ at }) {
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? html`<span>${at}</span>` : html`<time datetime=${at} title=${utc(ms)}>${localMoment(ms)}</time>`;
}

const SIGNS = { good: "●", warn: "▲", bad: "■", muted: "○" };

// Colour never stands alone: a sign and a word say the same.
export function Badge({ tone, text }) {
  return html`<span class=${`badge ${tone}`}><span aria-hidden="true">${SIGNS[tone]}</span> ${words(text)}</span>`;
}

export const CRISIS_TONES = { calm: "good", watch: "warn", warning: "warn", critical: "bad", recovering: "warn" };
export const CrisisBadge = ({ state }) => html`<${Badge} tone=${CRISIS_TONES[state] ?? "muted"} text=${state} />`;
export const SENTIMENT_TONES = { positive: "good", negative: "bad", neutral: "muted" };

export function ProblemBox({ problem }) {
  return html`<div class="problem" role="alert"><strong>${problem.title}</strong> ${problem.detail}</div>`;
}

export function Empty({ children }) {
  return html`<div class="empty">${children}</div>`;
}

export function Code({ text }) {
  return html`<pre class="code" tabindex="0"><code>${text}</code></pre>`;
}

export function Loading() {
  return html`<p class="wait" role="status">Loading …</p>`;
}

// Data, or why there is none yet. `children` is a function of the data.
export function Loaded({ of, children }) {
  if (of.data) return html`${of.problem && html`<${ProblemBox} problem=${of.problem} />`}${children(of.data)}`;
  return of.problem ? html`<${ProblemBox} problem=${of.problem} />` : html`<${Loading} />`;
}

// `columns`: [{name, cell(row), className?}]. The first cell of a row is its header.
export function Table({ caption, columns, rows, rowKey, hideCaption = false }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
    <caption class=${hideCaption ? "unseen" : ""}>${caption}</caption>
    <thead><tr>${columns.map((one) => html`<th scope="col" class=${one.className}>${one.name}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${rowKey(row)}>${columns.map((one, n) =>
      n === 0 ? html`<th scope="row" class=${one.className}>${one.cell(row)}</th>`
        : html`<td class=${one.className}>${one.cell(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

export function More({ list }) {
  if (!list.more) return null;
  return html`<button type="button" disabled=${list.busy} onClick=${list.more}>${list.busy ? "Loading …" : "Show more"}</button>`;
}

// Asks once more before something happens. `ask`: {title, text, yes, act} or null; `act` may throw a Problem.
export function Confirm({ ask, done }) {
  const dialog = useRef(null);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setProblem(null);
    if (ask && !dialog.current.open) dialog.current.showModal();
    if (!ask && dialog.current.open) dialog.current.close();
  }, [ask]);
  const act = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await ask.act();
      done(true);
    } catch (error) {
      setProblem({ title: error.title ?? "That did not work", detail: error.detail ?? String(error) });
    } finally {
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby="confirm-title" onClose=${() => ask && done(false)}>
    ${ask && html`<h2 id="confirm-title">${ask.title}</h2><p>${ask.text}</p>
      ${problem && html`<${ProblemBox} problem=${problem} />`}
      <div class="actions">
        <button type="button" class=${ask.danger ? "danger" : "main"} disabled=${busy} onClick=${act}>${ask.yes}</button>
        <button type="button" onClick=${() => done(false)}>Cancel</button>
      </div>`}
  </dialog>`;
}

export function OutsideLink({ url, children }) {
  const href = url ? webLink(url) : null;
  return href ? html`<a href=${href} rel="noopener noreferrer nofollow" target="_blank">${children}</a>` : html`<span>${children}</span>`;
}

// Shares of a whole: a bar for the eye and the same in words. `parts`: [{name, share, text, tone}].
export function Shares({ label, parts }) {
  return html`<div class="shares"><div class="bar" aria-hidden="true">
    ${parts.map((one, n) => html`<span class=${`part${n % 5}`} style=${{ width: `${100 * one.share}%` }}></span>`)}</div>
    <ul aria-label=${label}>${parts.map((one, n) => html`<li><span class=${`dot part${n % 5}`} aria-hidden="true"></span>
      <span>${one.name}</span> <strong>${one.text}</strong></li>`)}</ul></div>`;
}
