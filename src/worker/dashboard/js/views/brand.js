// One brand: how it is, what is said of it, who could be won, what it costs.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { address } from "../api.js";
import { Empty, Code, CrisisBadge, Badge, Loading, NotYet, ProblemBox, Stat, Time } from "../ui.js";
import { curl } from "../commands.js";
import { number, percent, score } from "../format.js";
import { useDocument } from "../hooks.js";
import { Crisis } from "./crisis.js";
import { Health } from "./health.js";
import { Leads } from "./leads.js";
import { Mentions } from "./mentions.js";
import { Sentiment } from "./sentiment.js";
import { Tiers } from "./tiers.js";
import { Topics } from "./topics.js";
import { Volume } from "./volume.js";

const BRAND_SEC = 15; // How often the parts of this page are read again.

export function Brand({ brand }) {
  const summary = useDocument(address(["brands", brand, "summary"]), BRAND_SEC);
  const body = curl({ type: "analyze_mentions", brand, mentions: [{ text: `What somebody said of ${brand}` }] });
  if (!summary.data) {
    return html`<h1>${brand}</h1>${summary.loading && html`<${Loading} />`}
      ${summary.problem && html`<${ProblemBox} problem=${summary.problem} />`}
      ${summary.problem?.status === 404 && html`<${Empty}><p>Send a first mention of it:</p><${Code} text=${body} /><//>`}`;
  }
  return html`<h1>${summary.data.brand}</h1>
    ${summary.problem && html`<${ProblemBox} problem=${summary.problem} />`}
    <${Head} summary=${summary.data} />
    <div class="grid">
      <${Crisis} brand=${brand} /><${Sentiment} summary=${summary.data} />
      <${Volume} brand=${brand} asOf=${summary.data.asOf} /><${Health} brand=${brand} />
      <${Topics} brand=${brand} /><${Leads} brand=${brand} />
      <${Tiers} brand=${brand} summary=${summary.data} /><${Mentions} brand=${brand} />
    </div>`;
}

function Head({ summary }) {
  const { sentiment } = summary;
  const counted = sentiment.positive + sentiment.neutral + sentiment.negative;
  const missing = (name) => html`<${NotYet} reason=${summary.null_reasons[name]} />`;
  return html`<section class="card wide" aria-label="At a glance"><dl class="stats">
    <${Stat} name="Mentions" id="mentions-total" value=${number(summary.totalMentions)} note=${`${number(summary.totalPosts)} posts with repeats`} />
    <${Stat} name="Health" id="health-score" value=${summary.healthScore === null ? missing("healthScore") : number(summary.healthScore)} />
    <${Stat} name="Crisis" value=${html`<${CrisisBadge} state=${summary.crisisState} />`} />
    <${Stat} name="Spike" value=${summary.spikeDetected ? html`<${Badge} tone="warn" text="spike" />` : "none"} note="in the last 24 h of its own time" />
    <${Stat} name="Sentiment" value=${counted ? score(sentiment.score) : html`<${NotYet} reason="no mention has been judged" />`}
      note=${counted ? `${percent(sentiment.negative / counted)} negative` : null} />
    <${Stat} name="Newest mention" value=${summary.asOf ? html`<${Time} at=${summary.asOf} />` : missing("asOf")} />
  </dl><p>${summary.summary}</p>
  ${summary.recommended_actions.length > 0 && html`<p class="advice"><strong>To do:</strong> ${summary.recommended_actions.join("; ")}</p>`}</section>`;
}
