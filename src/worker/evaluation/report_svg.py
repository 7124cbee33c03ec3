"""Small drawings for the report: SVG as text, drawn with a few functions, coloured by the page's style sheet. Pure.

Each drawing has a title and a description for those who cannot see it; the report puts the same figures in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 640
"""Units of every drawing; the style sheet lets it shrink to 480 pixels, where a text of 13 is still 10 pixels high."""
LABEL: Final = 190
"""Room for names at the left, 26 characters of 13 units."""
_NAME_CHARS: Final = 26
_ROW: Final = 28
STRONG: Final = 0.85
"""Strength of colour from which a label is easier to read in the opposite tone, on light and on dark pages."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""Characters that have no place in a page, also not escaped."""


class Dot(NamedTuple):
    """A value with an interval around it, where there is one."""

    label: str
    value: float
    lower: float | None
    upper: float | None


def safe(text: object) -> str:
    """Any text as it may stand in HTML and in attributes."""
    return escape(_CONTROL.sub("\ufffd", str(text)), quote=True)


def distribution_chart(counts: Mapping[str, Mapping[str, int]]) -> str:
    """One bar of shares per model, cut by decision code."""
    body = []
    for row, (model, codes) in enumerate(counts.items()):
        y = row * _ROW + 8
        total = sum(codes.values())
        body.append(_name(model, y + 16))
        if not total:
            body.append(_text(LABEL + 6, y + 16, "no scores", "muted"))
        x = float(LABEL)
        for code, count in codes.items():
            width = (WIDTH - LABEL - 10) * count / total if total else 0
            if width:
                body.append(_rect(x, y, width, _ROW - 6, f"code{code}", f"{model}: code {code}, {count} of {total}"))
            if width > 26:  # narrower than its own label
                body.append(_text(x + width / 2, y + 16, f"{count / total:.0%}", f"on{code}", "middle"))
            x += width
    keys = "".join(
        _rect(LABEL + 70 * place, len(counts) * _ROW + 14, 14, 14, f"code{code}", f"code {code}")
        + _text(LABEL + 70 * place + 20, len(counts) * _ROW + 26, f"code {code}")
        for place, code in enumerate(next(iter(counts.values()), {}))
    )
    return _figure(
        "Decisions by model",
        "Share of each decision code, 1 (strongly option A) to 5 (strongly option B), for each model.",
        len(counts) * _ROW + 40,
        [*body, keys],
    )


def agreement_heatmap(models: Sequence[str], kappas: Mapping[tuple[str, str], float | None]) -> str:
    """A square per pair of models: the stronger the colour, the further kappa is from 0; negative ones are framed."""
    cell = min(46.0, (WIDTH - LABEL - 10) / max(1, len(models)))
    body = []
    for row, model in enumerate(models):
        y = 26 + row * cell
        body.append(_name(f"{row + 1}. {model}", y + cell / 2 + 4))
        body.append(_text(LABEL + row * cell + cell / 2, 18, str(row + 1), "muted", "middle"))
        for column, other in enumerate(models):
            x = LABEL + column * cell
            if row == column:
                body.append(_rect(x, y, cell - 2, cell - 2, "same", model))
                continue
            kappa = kappas.get((min(model, other), max(model, other)))
            body.append(_kappa_cell(x, y, cell, f"{model} and {other}", kappa))
    return _figure(
        "Agreement of models",
        "Quadratically weighted kappa of each pair of models. 1 is perfect agreement, 0 what chance would give.",
        26 + cell * len(models) + 6,
        body,
    )


def interval_chart(
    title: str, description: str, dots: Sequence[Dot], low: float, high: float, ticks: Iterable[float]
) -> str:
    """Values on a common axis with their intervals; what leaves the axis is cut at its end."""
    scale = (WIDTH - LABEL - 24) / (high - low)

    def at(value: float) -> float:
        return LABEL + 10 + (max(low, min(high, value)) - low) * scale

    bottom = len(dots) * _ROW + 8
    body = [
        _line(at(tick), 4, at(tick), bottom, "grid") + _text(at(tick), bottom + 16, f"{tick:g}", "muted", "middle")
        for tick in ticks
    ]
    for row, dot in enumerate(dots):
        y = row * _ROW + 20
        body.append(_name(dot.label, y + 4))
        said = f"{dot.label}: {dot.value:.2f}"
        if dot.lower is not None and dot.upper is not None:
            body.append(_line(at(dot.lower), y, at(dot.upper), y, "interval"))
            said += f", interval {dot.lower:.2f} to {dot.upper:.2f}"
        body.append(f'<circle class="dot" cx="{at(dot.value):.1f}" cy="{y}" r="5"><title>{safe(said)}</title></circle>')
    return _figure(title, description, bottom + 24, body)


def _kappa_cell(x: float, y: float, cell: float, who: str, kappa: float | None) -> str:
    shown = "not computable" if kappa is None else f"{kappa:.2f}"
    kind = "unknown" if kappa is None else "below" if kappa < 0 else "kappa"
    strength = 0.0 if kappa is None else min(1.0, abs(kappa))
    square = _rect(x, y, cell - 2, cell - 2, kind, f"{who}: {shown}", strength)
    if cell < 30:  # no room for two digits; the table has them
        return square
    label = "–" if kappa is None else shown
    on = "onstrong" if kind == "kappa" and strength > STRONG else ""
    return square + _text(x + cell / 2 - 1, y + cell / 2 + 4, label, on, "middle")


def _figure(title: str, description: str, height: float, body: Sequence[str]) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{safe(title)}</title><desc>{safe(description)}</desc>{''.join(body)}</svg></div>"
    )


def _name(text: str, y: float) -> str:
    short = text if len(text) <= _NAME_CHARS else text[: _NAME_CHARS - 1] + "…"
    return f'<text x="{LABEL - 8}" y="{y:.1f}" text-anchor="end">{safe(short)}<title>{safe(text)}</title></text>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str, strength: float | None = None) -> str:
    opacity = "" if strength is None else f' fill-opacity="{strength:.2f}"'
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{opacity}>'
        f"<title>{safe(title)}</title></rect>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
