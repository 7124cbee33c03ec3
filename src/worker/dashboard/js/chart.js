// A line or bar chart over time with what it shows in words, and its figures as a table.
import { html, useEffect, useLayoutEffect, useRef } from "../vendor/htm-preact/standalone.module.js";
import { localClock, localDay, localMoment, localSeconds, number } from "./format.js";
import { colour, useShownTheme } from "./theme.js";

const { uPlot } = window; // A classic script of the page: the package has no small module.

const DASHES = [[], [7, 4], [2, 3]];
const ROWS = 50;
const WHOLE = Array.from({ length: 10 }, (_, n) => [1, 2, 5].map((one) => one * 10 ** n)).flat(); // No half tasks.

// `series`: [{name, colour, bars?}]; `data`: [seconds, …one list per series], null where nothing is known.
// `spanSec`: the time axis is at least as long. `marks`: seconds at which something happened. `summary` says what the chart shows, for those who do not see it.
export function TimeChart({ title, series, data, marks = [], summary, range = null, figure = number, timeText = null, height = 180, spanSec = 0 }) {
  const place = useRef(null);
  const plot = useRef(null);
  const readout = useRef(null);
  const theme = useShownTheme();
  const latest = useRef({});
  latest.current = { marks, figure, series, timeText };
  const form = JSON.stringify([series, range, height, theme]);
  useLayoutEffect(() => {
    const width = () => Math.max(200, place.current.clientWidth);
    const made = new uPlot(options({ series, range, height, spanSec, width: width(), latest, readout }), data, place.current);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: width(), height }));
    watch.observe(place.current);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [form]);
  useEffect(() => plot.current?.setData(data), [data, marks.join()]);
  return html`<figure class="chart">
    <div class="plot" role="img" aria-label=${`${title}. ${summary}`} ref=${place}></div>
    <p class="readout" aria-hidden="true" ref=${readout}></p>
    <figcaption><ul class="legend">${series.map((one, n) => html`<li>
      <span class=${`swatch dash${one.bars ? 0 : n}`} style=${{ borderColor: colour(one.colour) }} aria-hidden="true"></span>${one.name}</li>`)}
      ${marks.length > 0 && html`<li><span class="swatch mark" aria-hidden="true"></span>spike</li>`}</ul>
      <p>${summary}</p></figcaption>
    <${Figures} title=${title} series=${series} data=${data} figure=${figure} timeText=${timeText} />
  </figure>`;
}

function Figures({ title, series, data, figure, timeText }) {
  const rows = data[0].map((_, n) => data.map((list) => list[n])).reverse().slice(0, ROWS);
  if (!rows.length) return null;
  return html`<details class="figures"><summary>${title}: figures as a table</summary>
    <div class="scroll" tabindex="0" role="region" aria-label=${`${title}, figures`}><table>
      <caption>${data[0].length > ROWS ? `The newest ${ROWS} of ${number(data[0].length)}` : "Newest first"}</caption>
      <thead><tr><th scope="col">Time</th>${series.map((one) => html`<th scope="col" class="num">${one.name}</th>`)}</tr></thead>
      <tbody>${rows.map(([at, ...values]) => html`<tr key=${at}><th scope="row">${textOf(at, timeText)}</th>
        ${values.map((value) => html`<td class="num">${value === null ? "–" : figure(value)}</td>`)}</tr>`)}</tbody>
    </table></div></details>`;
}

function options({ series, range, height, spanSec, width, latest, readout }) {
  const ink = colour("muted");
  const whole = latest.current.figure === number;
  const axis = { stroke: ink, grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui" };
  return {
    width, height, legend: { show: false }, cursor: { drag: { x: false, y: false } }, padding: [10, 24, 0, 0],
    scales: { x: { time: true, range: spanSec ? (_, from, to) => [Math.min(from, to - spanSec), to] : undefined }, y: { range: range ?? ((_, low, high) => [Math.min(0, low ?? 0), Math.max(whole ? 4 : 1, (high ?? 1) * 1.1)]) } },
    axes: [
      { ...axis, size: 30, values: (_, splits, _axis, _space, step) => splits.map((at) => tick(at, step)) },
      { ...axis, size: 46, incrs: whole ? WHOLE : undefined, values: (_, splits) => splits.map((value) => latest.current.figure(value)) },
    ],
    series: [{}, ...series.map((one, n) => ({
      label: one.name, stroke: colour(one.colour), width: 2, dash: one.bars ? [] : DASHES[n % DASHES.length],
      fill: one.bars ? colour(one.colour) : undefined, paths: one.bars ? uPlot.paths.bars({ size: [0.9, 40] }) : undefined,
      points: { show: one.bars ? false : undefined },
    }))],
    hooks: {
      draw: [(made) => drawMarks(made, latest.current.marks)],
      setCursor: [(made) => {
        if (readout.current) readout.current.textContent = pointed(made, latest.current);
      }],
    },
  };
}

function tick(at, step) {
  const ms = at * 1000;
  const midnight = new Date(ms).getHours() === 0 && new Date(ms).getMinutes() === 0;
  if (step >= 86_400 || (midnight && step >= 600)) return localDay(ms);
  return step < 60 ? localSeconds(ms) : localClock(ms);
}

// A spike: a dashed line and a triangle, so that it is not told by colour alone.
function drawMarks(made, marks) {
  const { ctx, bbox } = made;
  const dot = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("bad");
  ctx.lineWidth = 1.5 * dot;
  for (const at of marks) {
    const x = made.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash([4 * dot, 3 * dot]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 5 * dot, bbox.top - 1);
    ctx.lineTo(x + 5 * dot, bbox.top - 1);
    ctx.lineTo(x, bbox.top + 8 * dot);
    ctx.fill();
  }
  ctx.restore();
}

function pointed(made, { series, figure, timeText }) {
  const n = made.cursor.idx;
  if (n === null || n === undefined) return "";
  const values = series.map((one, s) => [one.name, made.data[s + 1][n]]).filter(([, value]) => value !== null);
  return [textOf(made.data[0][n], timeText), ...values.map(([name, value]) => `${name} ${figure(value)}`)].join(" · ");
}

function textOf(at, timeText) {
  return timeText ? timeText(at) : localMoment(at * 1000);
}
