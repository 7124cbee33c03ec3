// Sentiment over time: posts of each day by what they say.
import { html } from "../../vendor/htm-preact/standalone.module.js";
import { TimeChart } from "../chart.js";
import { dayOf, number } from "../format.js";
import { Card, Empty, Shares } from "../ui.js";
import { dayText, noon } from "./health.js";

const LABELS = ["positive", "neutral", "negative"];
const SERIES = [{ name: "positive", colour: "c1" }, { name: "neutral", colour: "c4" }, { name: "negative", colour: "c3" }];

export function Sentiment({ summary }) {
  const days = summary.sentimentHistory;
  const all = LABELS.reduce((sum, label) => sum + summary.sentiment[label], 0);
  const parts = LABELS.map((label) => ({ name: label, share: all ? summary.sentiment[label] / all : 0, text: number(summary.sentiment[label]) }));
  return html`<${Card} title="Sentiment over time" id="sentiment">
    ${all > 0 && html`<${Shares} label="Mentions by sentiment" parts=${parts} />`}
    ${days.length ? html`<${TimeChart} title="Posts per day by sentiment" series=${SERIES} summary=${inWords(days)} timeText=${dayText}
      data=${[days.map((day) => noon(day.date)), ...LABELS.map((label) => days.map((day) => day[label]))]} />`
      : html`<${Empty}><p>No mention with a time has been counted yet.</p><//>`}<//>`;
}

function inWords(days) {
  const worst = days.reduce((found, day) => (day.negative > found.negative ? day : found));
  const span = `${number(days.length)} days with posts, ${dayOf(days[0].date)} to ${dayOf(days.at(-1).date)}`;
  return worst.negative ? `${span}; most negative posts on ${dayOf(worst.date)}: ${number(worst.negative)}.` : `${span}; none of the posts is negative.`;
}
