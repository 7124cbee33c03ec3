// Evaluation runs that this service has analysed, and their reports.
import { html, useState } from "../../vendor/htm-preact/standalone.module.js";
import { address, send } from "../api.js";
import { curl } from "../commands.js";
import { useList } from "../hooks.js";
import { currentKey } from "../key.js";
import { Card, Code, Empty, Loading, More, ProblemBox, Table, Time } from "../ui.js";

const EXAMPLE = {
  type: "analyze_basic", runId: "run-1",
  transcripts: [{ id: "t1", modelId: "provider:model", scenarioId: "s1", summary: { score: 4 }, scenario: { name: "First", dimensions: {} } }],
};

export function Evaluations() {
  const list = useList((cursor) => address(["analyses"], { limit: 50, cursor }), "analyses", 15);
  return html`<h1>Evaluation runs</h1><${Card} title="Analyses" id="analyses" wide>
    ${list.problem && html`<${ProblemBox} problem=${list.problem} />`}
    ${list.loading && html`<${Loading} />`}
    ${list.first && !list.items.length && html`<${Empty}><p>No run has been analysed yet. A task of type <code>analyze_basic</code> with the
      transcripts of a run leaves its analysis here:</p><${Code} text=${curl(EXAMPLE)} /><//>`}
    ${list.items.length > 0 && html`<${Table} caption="Newest first" rows=${list.items} rowKey=${(one) => one.id} columns=${[
      { name: "Run", cell: (one) => one.runId || one.id },
      { name: "Analysed", cell: (one) => html`<${Time} at=${one.at} />` },
      { name: "Report", cell: (one) => html`<${Report} id=${one.id} run=${one.runId || one.id} />` },
    ]} />`}
    <${More} list=${list} /><//>`;
}

// A link cannot send the header with the key: with one, the report is fetched and saved as the file it is.
function Report({ id, run }) {
  const [problem, setProblem] = useState(null);
  const path = address(["analyses", id, "report"]);
  if (currentKey() === null) return html`<a href=${path} target="_blank" rel="noopener" aria-label=${`Open the report of ${run}`}>Open</a>`;
  const save = async () => {
    try {
      const file = await (await send(path, { accept: "text/html" })).blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(file);
      link.download = `report-${id}.html`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      setProblem(null);
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<button type="button" onClick=${save} aria-label=${`Save the report of ${run}`}>Save</button>
    ${problem && html`<${ProblemBox} problem=${{ title: problem.title ?? "Not saved", detail: problem.detail ?? String(problem) }} />`}`;
}
