"""The benchmarks' page says what was measured, what was missed and what was not run; every benchmark can be found."""

from __future__ import annotations

import importlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bench import _page
from bench.__main__ import main, names
from bench._report import Figure, Report, at_least, at_most, machine

ROOT = Path(__file__).parent.parent


def _document(**changes: Any) -> dict[str, Any]:
    report = Report("speed", False, "How fast.")
    report.figures.append(Figure("speed.ours", 1234.5, "tasks/s", {"of theirs": 2.0}, at_least(2.0, 3.0), "a|b"))
    report.figures.append(Figure("speed.memory", None, "MB", note="no /proc"))
    return {**asdict(report), "at": "2026-01-02T03:04:05+00:00", "machine": machine(), **changes}


def test_the_page_shows_every_figure_with_what_was_wanted_of_it() -> None:
    text = _page.page([("speed", _document())])
    assert "| `ours` | speed | 1,234 tasks/s | >= 3 | MISSED | 2.00 of theirs; a\\|b |" in text
    assert "| `ours` | speed | 1,234 tasks/s | 2.00 | of theirs |" in text
    assert "| `memory` | - MB |  | no /proc |" in text, "a figure that could not be taken is none"
    assert "How fast." in text
    assert "Not run" not in text


def test_what_was_not_run_left_out_quick_or_disturbed_is_said() -> None:
    changes = {
        "quick": True,
        "left_out": ["a peer (not installed)"],
        "details": {"noisy": ["noop.ours"]},
        "seconds": 61,
    }
    text = _page.page([("speed", _document(**changes)), ("other", None)])
    for words in (
        "Not run: `other`",
        "with `--quick`",
        "Left out: a peer (not installed)",
        "noop.ours",
        "it took 61 s",
    ):
        assert words in text, words


def test_a_table_that_a_benchmark_made_takes_the_place_of_its_ratios() -> None:
    table = {"head": ["", "no-op/s"], "rows": [["ours", "10"], ["theirs", "5"]]}
    text = _page.page([("speed", _document(details={"table": table}))])
    assert "| theirs | 5 |" in text
    assert "| speed | 1,234 tasks/s | 2.00 |" not in text


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (at_least(0.25, 0.25), ">= 0.25: met"),
        (at_least(0.249, 0.25), ">= 0.25: MISSED"),
        (at_most(2, 2), "<= 2: met"),
        (at_most(2.01, 2), "<= 2: MISSED"),
    ],
)
def test_a_bound_is_met_at_the_bound(verdict: str, said: str) -> None:
    assert verdict == said


def test_every_benchmark_can_run_and_is_described() -> None:
    described = (ROOT / "bench" / "README.md").read_text("utf-8")
    assert len(names()) >= 10
    for name in names():
        assert callable(importlib.import_module(f"bench.{name}").main), name
        assert f"| `{name}` |" in described, name


def test_an_unknown_benchmark_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "quue"])
    assert main() == 2
    assert "no benchmark quue; there are: analysis" in capsys.readouterr().err
