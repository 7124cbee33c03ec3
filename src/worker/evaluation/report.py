"""An analysis as one HTML file that opens offline, loads nothing, runs no script and is light or dark. Pure.

Whatever an analysis holds in names is shown as text. Every drawing stands beside a table with the same figures; what
could not be computed is a dash with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from .report_svg import Dot, agreement_heatmap, distribution_chart, interval_chart, safe

MAX_MODELS_DRAWN: Final = 40
"""Rows of a heat map that can still be told apart at 640 units."""
MAX_ROWS: Final = 200
"""Rows of a table; a run of a hundred models has 4,950 pairs, and the file should open on a phone."""
DASH: Final = "–"

_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'"
# Five steps from blue to orange: told apart by people who see no red or green, and by lightness alone from the middle.
_STYLE: Final = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--muted:#5b6470;--line:#d5dae0;--card:#f5f7f9;
--c1:#2166ac;--c2:#92c5de;--c3:#d9d9d9;--c4:#fdb863;--c5:#b35806;--on1:#fff;--on5:#fff;--onmid:#1b1f24;--warn:#b35806}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e8eaed;--muted:#a2abb6;--line:#343b44;--card:#1d2228;
--c1:#4393c3;--c2:#a6d3ea;--c3:#b9bec4;--c4:#fdb863;--c5:#e08214;--on1:#14171b;--on5:#14171b;--warn:#fdb863}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--bg);color:var(--fg);font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.5rem 0}
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:1rem;margin:1.2rem 0 .2rem}p,li{overflow-wrap:anywhere}.muted,.why{color:var(--muted)}
.why{font-size:.8rem;display:block;white-space:normal}
.scroll{overflow-x:auto;margin:.5rem 0}table{border-collapse:collapse;font-size:.9rem;min-width:100%}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th{background:var(--card);font-weight:600}th:first-child,td:first-child,.left{text-align:left;overflow-wrap:anywhere}
caption{text-align:left;color:var(--muted);padding:.2rem 0}
.warning{border-left:.25rem solid var(--warn);background:var(--card);padding:.4rem .8rem;margin:.4rem 0}
svg{display:block;width:100%;min-width:30rem;max-width:52rem;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--fg)}svg .muted{fill:var(--muted)}svg .on1{fill:var(--on1)}svg .on5{fill:var(--on5)}
svg .on2,svg .on3,svg .on4{fill:var(--onmid)}svg .onstrong{fill:var(--on1)}
.code1{fill:var(--c1)}.code2{fill:var(--c2)}.code3{fill:var(--c3)}.code4{fill:var(--c4)}.code5{fill:var(--c5)}
.kappa{fill:var(--c1);stroke:var(--line)}.below{fill:var(--c5);stroke:var(--c5)}
.same{fill:var(--card);stroke:var(--line)}.unknown{fill:none;stroke:var(--line);stroke-dasharray:3}
.grid{stroke:var(--line)}.interval{stroke:var(--c1);stroke-width:3}.dot{fill:var(--c1);stroke:var(--bg);stroke-width:2}
"""


def html_report(analysis: Mapping[str, Any]) -> str:
    """The report of an analysis as `analyse` returns it; of the older STUB a page that says so.

    Raises:
        KeyError: the mapping is neither.
    """
    if analysis.get("status") == "STUB":
        return _page("Analysis of a run", [f"<p>{safe(analysis['message'])}</p>"])
    sections = [
        _overview(analysis),
        _warnings(analysis["warnings"]),
        _models(analysis["perModel"], analysis["visualizationData"]["decisionDistribution"]),
        _values(analysis["perModel"]),
        _agreement(analysis["modelAgreement"]),
        _dimensions(analysis["dimensionAnalysis"], analysis["dimensionModel"]),
        _contested(analysis["mostContestedScenarios"]),
        _methods(analysis),
    ]
    return _page("Analysis of a run", [section for section in sections if section])


def _page(title: str, sections: Sequence[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_CSP}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{safe(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main><h1>{safe(title)}</h1>\n" + "\n".join(sections) + "\n</main></body></html>\n"
    )


def _overview(analysis: Mapping[str, Any]) -> str:
    models = analysis["perModel"]
    scores = sum(figures["overall"]["count"] for figures in models.values())
    return (
        f"<p>{len(models)} models, {scores} scores, {analysis['excluded']['count']} transcripts left out. "
        f'<span class="muted">Computed {safe(analysis["computedAt"])}.</span></p>'
    )


def _warnings(warnings: Sequence[Mapping[str, str]]) -> str:
    if not warnings:
        return ""
    boxes = "".join(
        f'<div class="warning"><strong>{safe(warning["code"])}</strong> {safe(warning["message"])} '
        f'<span class="muted">{safe(warning["recommendation"])}</span></div>'
        for warning in warnings
    )
    return f"<section><h2>Read this first</h2>{boxes}</section>"


def _models(models: Mapping[str, Mapping[str, Any]], distribution: Mapping[str, Mapping[str, int]]) -> str:
    if not models:
        return "<section><h2>Models</h2><p>No transcript names a model.</p></section>"
    header = ["Model", "Scores", "Scenarios", "Mean", "Std. dev.", "Median", *(f"Code {code}" for code in "12345")]
    rows = [
        [
            safe(model),
            figures["overall"]["count"],
            figures["scenarios"],
            _figure_or_why(figures, "mean"),
            _figure_or_why(figures, "stdDev"),
            _number(figures["overall"]["median"]),
            *distribution[model].values(),
        ]
        for model, figures in models.items()
    ]
    shown = dict(list(distribution.items())[:MAX_MODELS_DRAWN])
    return (
        f"<section><h2>Models</h2>{distribution_chart(shown)}{_table('Scores of each model', header, rows)}</section>"
    )


def _values(models: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for model, figures in models.items():
        for value, entry in figures["values"].items():
            interval = entry.get("clusteredInterval") or entry["confidenceInterval"]
            counts = entry["count"].values()
            rows.append([safe(model), safe(value), _figure_or_why(entry, "winRate"), _interval(interval), *counts])
    if not rows:
        return ""
    header = ["Model", "Value", "Win rate", "95 % interval", "Prioritized", "Deprioritized", "Neutral"]
    return f"<section><h2>Values</h2>{_table('Win rate of each value', header, rows)}</section>"


def _agreement(agreement: Mapping[str, Any]) -> str:
    pairs, ranking = agreement["pairs"], agreement["ranking"]
    alpha = agreement["krippendorffAlpha"]
    parts = [
        f"<p>Kappa over all pairs: {_figure_or_why(agreement, 'overallKappa')}. "
        f"Rank correlation over all pairs: {_figure_or_why(agreement, 'overallAgreement')}. "
        "Krippendorff's alpha (ordinal): "
        + (_number(alpha["ordinal"]) if alpha else _figure_or_why(agreement, "krippendorffAlpha"))
        + ".</p>"
    ]
    if agreement["outlierModels"]:
        parts.append(f"<p>Stands apart: {', '.join(safe(model) for model in agreement['outlierModels'])}.</p>")
    models = sorted(entry["modelId"] for entry in ranking)
    if 1 < len(models) <= MAX_MODELS_DRAWN:
        parts.append(agreement_heatmap(models, {(pair["modelA"], pair["modelB"]): pair["kappa"] for pair in pairs}))
    elif models:
        parts.append(f"<p>No heat map: more than {MAX_MODELS_DRAWN} models.</p>")
    header = ["Models", "Scenarios", "Kappa", "Same score", "Spearman's rho", "p (Holm)", "Cohen's d", "Paired d"]
    rows = [
        [
            f"{safe(pair['modelA'])} · {safe(pair['modelB'])}",
            pair["scenarios"],
            _figure_or_why(pair, "kappa"),
            _number(pair["exactAgreement"]),
            _figure_or_why(pair, "spearmanRho"),
            _p(pair["pValueCorrected"], pair["significant"]),
            _figure_or_why(pair, "effectSize"),
            _figure_or_why(pair, "pairedEffectSize"),
        ]
        for pair in pairs
    ]
    if rows:
        parts.append(_table("Pairs of models; * is significant after correction", header, rows))
    return f"<section><h2>Agreement</h2>{''.join(parts)}</section>"


def _dimensions(dimensions: Mapping[str, Mapping[str, Any]], model: Mapping[str, Any]) -> str:
    if not dimensions:
        return "<section><h2>Dimensions</h2><p>No scored scenario has a dimension.</p></section>"
    parts = [_correlations(dimensions)]
    header = ["Dimension", "Scenarios", "Test", "Rho", "95 % interval", "p", "p (Holm)", "Share of rank variance"]
    ranked = sorted(dimensions.items(), key=lambda item: (item[1]["rank"] is None, item[1]["rank"] or 0, item[0]))
    rows = [
        [
            safe(name),
            entry["scenarios"],
            safe(entry["test"]),
            _figure_or_why(entry, "correlation"),
            _interval(entry["correlationInterval"]),
            _p(entry["pValue"], None),
            _p(entry["pValueCorrected"], entry["significant"]),
            _figure_or_why(entry, "effectSize"),
        ]
        for name, entry in ranked
    ]
    caption = (
        "Dimensions by effect; * is significant after correction. The share is corrected for chance and can be negative"
    )
    parts.append(_table(caption, header, rows))
    together = _figure_or_why(model, "adjustedShare")
    parts.append(f"<p>All tested dimensions together, corrected share of the rank variance: {together}.</p>")
    parts += [_level_chart(name, entry) for name, entry in ranked[:MAX_MODELS_DRAWN]]
    return f"<section><h2>Dimensions</h2>{''.join(parts)}</section>"


def _correlations(dimensions: Mapping[str, Mapping[str, Any]]) -> str:
    dots = []
    for name, entry in dimensions.items():
        if entry["correlation"] is not None:
            interval = entry["correlationInterval"] or {"lower": None, "upper": None}
            dots.append(Dot(name, entry["correlation"], interval["lower"], interval["upper"]))
    if not dots:
        return ""
    return interval_chart(
        "Correlation of dimensions with the decision",
        "Spearman's rho between a dimension's level and the scenario score, with 95 % intervals.",
        dots[:MAX_MODELS_DRAWN],
        -1,
        1,
        (-1, -0.5, 0, 0.5, 1),
    )


def _level_chart(name: str, entry: Mapping[str, Any]) -> str:
    if not entry["levels"]:
        return ""
    dots = [
        Dot(
            f"{level['level']} (n = {level['scenarios']})",
            level["mean"],
            *((level["interval"]["lower"], level["interval"]["upper"]) if level["interval"] else (None, None)),
        )
        for level in entry["levels"]
    ]
    description = f"Mean scenario score at each level of {name}, with 95 % intervals where a level has two scenarios."
    chart = interval_chart(f"Levels of {name}", description, dots, 1, 5, (1, 2, 3, 4, 5))
    rows = [[safe(dot.label), _number(dot.value), _bounds(dot.lower, dot.upper)] for dot in dots]
    table = _table(f"Levels of {name}", ["Level", "Mean score", "95 % interval"], rows)
    return f"<h3>{safe(name)}</h3>{chart}<details><summary>Figures</summary>{table}</details>"


def _contested(scenarios: Sequence[Mapping[str, Any]]) -> str:
    if not scenarios:
        return "<section><h2>Most contested scenarios</h2><p>No scenario on which models differ.</p></section>"
    parts = []
    for entry in scenarios:
        name = entry["scenarioName"] or entry["scenarioId"]
        dots = [Dot(model, score, None, None) for model, score in entry["modelScores"].items()]
        description = f"Mean score of each model, variance between models {entry['variance']:.2f}."
        chart = interval_chart(f"Scores of {name}", description, dots[:MAX_MODELS_DRAWN], 1, 5, (1, 2, 3, 4, 5))
        rows = [[safe(dot.label), _number(dot.value)] for dot in dots]
        table = _table(f"Scores of {name}", ["Model", "Mean score"], rows)
        parts.append(
            f'<h3>{safe(name)} <span class="muted">{safe(entry["scenarioId"])}, variance {entry["variance"]:.2f}</span>'
            f"</h3>{chart}<details><summary>Figures</summary>{table}</details>"
        )
    return f"<section><h2>Most contested scenarios</h2>{''.join(parts)}</section>"


def _methods(analysis: Mapping[str, Any]) -> str:
    rows = [
        [safe(name), f'<span class="left">{safe(", ".join(value) if isinstance(value, list) else value)}</span>']
        for name, value in analysis["methodsUsed"].items()
    ]
    excluded = [[safe(entry["reason"]), entry["count"]] for entry in analysis["excluded"]["byReason"]]
    left_out = _table("Transcripts that are not in the score statistics", ["Reason", "Transcripts"], excluded)
    table = _table("How every figure was computed", ["What", "How"], rows)
    return f"<section><h2>Methods</h2>{table}{left_out if excluded else ''}</section>"


def _table(caption: str, header: Sequence[str], rows: Sequence[Iterable[Any]]) -> str:
    head = "".join(f'<th scope="col">{safe(cell)}</th>' for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[:MAX_ROWS])
    rest = f'<p class="muted">{len(rows) - MAX_ROWS} more rows are in the data.</p>' if len(rows) > MAX_ROWS else ""
    return (
        f'<div class="scroll"><table><caption>{safe(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{rest}"
    )


def _figure_or_why(entry: Mapping[str, Any], name: str) -> str:
    if entry[name] is not None:
        return _number(entry[name])
    return f'{DASH}<span class="why">{safe(entry["reasons"].get(name, ""))}</span>'


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _p(value: float | None, significant: bool | None) -> str:
    if value is None:
        return DASH
    return ("&lt; .001" if value < 0.001 else f"{value:.3f}") + ("&nbsp;*" if significant else "")


def _interval(interval: Mapping[str, Any] | None) -> str:
    return DASH if interval is None else _bounds(interval["lower"], interval["upper"])


def _bounds(lower: float | None, upper: float | None) -> str:
    return DASH if lower is None or upper is None else f"{lower:.2f} to {upper:.2f}"
