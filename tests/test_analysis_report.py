"""The report of an analysis: one file that needs nothing else, shows every figure twice, and trusts no name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from src.worker.evaluation.analysis import analyse
from src.worker.evaluation.report import html_report
from src.worker.evaluation.report_svg import Dot, interval_chart

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NASTY = '</script><script>alert(1)</script> "quoted" & <b>bold</b>\x00'


def report_of(*transcripts: Any) -> str:
    return html_report(analyse({"runId": "r", "transcripts": list(transcripts)}, now=lambda: NOW))


def transcript(model: str, scenario: str, score: Any, **dimensions: Any) -> dict[str, Any]:
    values = {"Care": "prioritized" if scenario < "s05" else "deprioritized"}
    return {
        "modelId": model,
        "scenarioId": scenario,
        "summary": {"score": score, "values": values},
        "scenario": {"name": f"Name of {scenario}", "dimensions": dimensions},
    }


def full(models: tuple[str, ...] = ("alpha:one", "beta", "gamma"), scenarios: int = 14) -> list[dict[str, Any]]:
    return [
        transcript(model, f"s{i:02}", 1 + (i * (k + 1) + k) % 5, severity=i % 4, stake=["low", "high"][i % 2])
        for k, model in enumerate(models)
        for i in range(scenarios)
    ]


class Outline(HTMLParser):
    """Tags in order, checked to be balanced; texts; the tags that carry something to load or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_file_is_whole_and_loads_nothing() -> None:
    page = report_of(*full())
    outline = Outline(page)
    assert outline.open == []
    assert not {"script", "link", "img", "iframe", "object", "image", "use", "a"} & set(outline.tags)
    assert not {"src", "href", "xlink:href", "onclick", "onload"} & {name for name, _ in outline.attributes}
    assert "url(" not in page
    assert "@import" not in page
    addresses = set(re.findall(r"https?://[^\"' <]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "default-src 'none'" in page


def test_it_has_the_promised_drawings_each_with_words_and_a_table() -> None:
    outline = Outline(report_of(*full()))
    text = "".join(outline.texts)
    for title in (
        "Decisions by model",
        "Agreement of models",
        "Correlation of dimensions with the decision",
        "Levels of stake",
    ):
        assert title in text
    for heading in (
        "Models",
        "Values",
        "Agreement",
        "Dimensions",
        "Most contested scenarios",
        "Methods",
        "Read this first",
    ):
        assert heading in outline.texts
    drawings = outline.tags.count("svg")
    assert drawings >= 8
    assert outline.tags.count("desc") == drawings
    assert outline.tags.count("table") >= drawings - 1  # the correlations share the table of the dimensions
    assert "holm_bonferroni" in text
    assert "prefers-color-scheme:dark" in text
    assert ("name", "viewport") in outline.attributes


def test_the_figures_are_those_of_the_analysis() -> None:
    analysis = analyse({"runId": "r", "transcripts": full()}, now=lambda: NOW)
    page = html_report(analysis)
    for figures in analysis["perModel"].values():
        assert f"<td>{figures['mean']:.2f}</td>" in page
    for pair in analysis["modelAgreement"]["pairs"]:
        assert f"{pair['modelA']} and {pair['modelB']}: {pair['kappa']:.2f}</title>" in page
        assert f"<td>{pair['kappa']:.2f}</td>" in page
    severity = analysis["dimensionAnalysis"]["severity"]
    interval = severity["correlationInterval"]
    said = f"severity: {severity['correlation']:.2f}, interval {interval['lower']:.2f} to {interval['upper']:.2f}"
    assert said in page
    for entry in analysis["mostContestedScenarios"]:
        assert f"variance {entry['variance']:.2f}" in page


def test_names_are_text_wherever_they_stand() -> None:
    rows = [
        {
            "modelId": model,
            "scenarioId": f"{NASTY}{index}",
            "summary": {"score": 1 + (index * step) % 5, "values": {NASTY: "prioritized"}},
            "scenario": {"name": NASTY, "dimensions": {NASTY: f"{NASTY}{index % 2}"}},
        }
        for step, model in ((1, NASTY), (2, "plain"))
        for index in range(8)
    ]
    page = report_of(*rows)
    outline = Outline(page)
    assert outline.open == []
    assert not {"script", "b"} & set(outline.tags)
    assert "\x00" not in page
    assert any('"quoted" & <b>bold</b>' in text for text in outline.texts)


def test_what_could_not_be_computed_is_a_dash_with_its_reason() -> None:
    page = report_of(transcript("a", "s1", 4), transcript("b", "s2", 4), None)
    assert "a single score has no spread" in page
    assert "no scored scenario in common" in page
    assert "the transcript is not an object" in page
    assert "None" not in page
    assert not re.search(r"\b(nan|inf)\b", page)


@pytest.mark.parametrize(
    "rows", [[], [None], full(("only",)), [transcript("a", "s", None)], full(tuple(f"m{i:02}" for i in range(45)), 4)]
)
def test_every_analysis_has_a_report(rows: list[Any]) -> None:
    assert Outline(report_of(*rows)).open == []


def test_the_stub_of_old_callers_has_a_page_too() -> None:
    page = html_report(analyse({"runId": "r", "transcriptIds": []}, now=lambda: NOW))
    assert "Send transcripts instead" in page
    with pytest.raises(KeyError):
        html_report({})


def test_a_report_of_many_models_stays_small() -> None:
    page = report_of(*full(tuple(f"model-{i:03}" for i in range(60)), 12))
    assert len(page) < 1_000_000
    assert "more rows are in the data" in page
    assert "No heat map: more than 40 models" in page


def test_what_leaves_the_axis_is_cut_at_its_end() -> None:
    chart = interval_chart("t", "d", [Dot("x", 7.0, -3.0, 9.0)], 1, 5, (1, 5))
    (centre,) = re.findall(r'cx="([\d.]+)"', chart)
    (left, right) = re.findall(r'class="interval" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', chart)[0]
    assert 190 <= float(left) < float(right) == float(centre) <= 640
