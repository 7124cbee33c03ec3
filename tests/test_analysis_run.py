"""The analysis of a run: the specification's shape, nothing invented, no transcript that can spoil the others."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from src.worker import strictjson
from src.worker.errors import InvalidTask
from src.worker.evaluation.analysis import analyse, rounded
from src.worker.evaluation.rows import Exclusion, Row, as_rows, read_rows

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)


def clock(step_ms: int = 450) -> Callable[[], datetime]:
    """A clock that moves on at every look."""
    looks = iter(range(1_000_000))
    return lambda: NOW + timedelta(milliseconds=step_ms * next(looks))


def transcript(model: str, scenario: Any, score: Any, **dimensions: Any) -> dict[str, Any]:
    return {
        "id": f"{model}/{scenario}/{score}",
        "modelId": model,
        "scenarioId": scenario,
        "summary": {"score": score},
        "scenario": {"name": f"Scenario {scenario}", "dimensions": dimensions},
    }


def run_of(*transcripts: Any) -> dict[str, Any]:
    return {"runId": "run-1", "transcripts": list(transcripts)}


def example(models: int = 3, scenarios: int = 16, repeats: int = 1, seed: int = 1) -> dict[str, Any]:
    rng = random.Random(seed)
    return run_of(
        *(
            transcript(f"p:m{m}", f"s{s:02}", rng.randint(1, 5), severity=s % 5, stake=["low", "high"][s % 2])
            for s in range(scenarios)
            for m in range(models)
            for _ in range(repeats)
        )
    )


def codes(analysis: dict[str, Any]) -> set[str]:
    return {warning["code"] for warning in analysis["warnings"]}


# -- shape -------------------------------------------------------------------------------------------------------------


def test_the_output_has_the_shape_of_the_specification() -> None:
    analysis = analyse(example(), now=clock())
    model = analysis["perModel"]["p:m0"]
    assert (model["sampleSize"], model["values"]) == (16, {})
    assert all(isinstance(model[name], float) for name in ("mean", "stdDev"))
    agreement = analysis["modelAgreement"]
    assert isinstance(agreement["overallKappa"], float)
    assert list(agreement["pairwise"]) == ["p:m0_vs_p:m1", "p:m0_vs_p:m2", "p:m1_vs_p:m2"]
    assert all(isinstance(kappa, float) for kappa in agreement["pairwise"].values())
    severity = analysis["dimensionAnalysis"]["severity"]
    assert isinstance(severity["correlation"], float)
    assert isinstance(severity["pValue"], float)
    assert isinstance(severity["significant"], bool)
    assert len(analysis["mostContestedScenarios"]) == 5
    assert {"scenarioId", "scenarioName", "variance", "modelScores"} <= analysis["mostContestedScenarios"][0].keys()
    assert isinstance(analysis["visualizationData"]["modelScenarioMatrix"], list)
    assert list(analysis["visualizationData"]["decisionDistribution"]["p:m0"]) == ["1", "2", "3", "4", "5"]
    assert {
        "winRateCI": "wilson_score",
        "modelComparison": "spearman_rho",
        "pValueCorrection": "holm_bonferroni",
        "effectSize": "cohens_d",
        "dimensionTest": "kruskal_wallis",
        "alpha": 0.05,
        "codeVersion": "1.0.0",
    }.items() <= analysis["methodsUsed"].items()
    assert (analysis["computedAt"], analysis["durationMs"]) == ("2026-05-01T12:00:00.450Z", 450)
    assert all(set(warning) == {"code", "message", "recommendation"} for warning in analysis["warnings"])


def test_the_output_is_strict_json_of_plain_values_with_six_decimals() -> None:
    analysis = analyse(example(repeats=2), now=clock())
    assert orjson.loads(strictjson.dumps(analysis)) == json.loads(json.dumps(analysis, allow_nan=False)) == analysis

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        else:
            assert value is None or type(value) in (str, int, float, bool)
            if isinstance(value, float):
                assert value == round(value, 6)

    walk(analysis)
    assert str(rounded({"a": [-0.0, 1 / 3]})) == "{'a': [0.0, 0.333333]}"


def test_one_kind_of_kappa_is_used_and_named() -> None:
    run = example()
    analysis = analyse(run, now=clock())
    assert analysis["methodsUsed"]["kappa"] == "cohen_quadratic_weights"
    scores = {m: [t["summary"]["score"] for t in run["transcripts"] if t["modelId"] == m] for m in analysis["perModel"]}
    for pair in analysis["modelAgreement"]["pairs"]:
        expected = cohen_kappa_score(scores[pair["modelA"]], scores[pair["modelB"]], weights="quadratic")
        assert pair["kappa"] == analysis["modelAgreement"]["pairwise"][pair["key"]] == pytest.approx(expected, abs=1e-6)
    kappas = list(analysis["modelAgreement"]["pairwise"].values())
    assert analysis["modelAgreement"]["overallKappa"] == pytest.approx(np.mean(kappas), abs=2e-6)


def test_ids_only_are_answered_as_they_always_were() -> None:
    analysis = analyse({"runId": "r", "transcriptIds": ["a", "b"]}, now=clock())
    assert (analysis["status"], analysis["transcriptCount"]) == ("STUB", 2)
    assert analysis["completedAt"] == "2026-05-01T12:00:00.000Z"
    assert isinstance(analysis["message"], str)


@pytest.mark.parametrize(
    ("payload", "field", "said"),
    [
        ({"transcripts": []}, "runId", "Missing required field: runId"),
        ({"runId": None, "transcripts": []}, "runId", "Missing required field: runId"),
        ({"runId": " ", "transcripts": []}, "runId", "runId must be"),
        ({"runId": 5, "transcripts": []}, "runId", "runId must be"),
        ({"runId": "r"}, "transcripts", "Missing required field: transcripts"),
        ({"runId": "r", "transcripts": {}}, "transcripts", "transcripts must be an array"),
        ({"runId": "r", "transcripts": None}, "transcripts", "transcripts must be an array"),
        ({"runId": "r", "transcriptIds": "a"}, "transcriptIds", "transcriptIds must be an array"),
        *(((other, "input", "must be an object")) for other in (None, 5, "text", [], True)),
    ],
)
def test_a_payload_that_is_none_is_the_callers_error_and_named(payload: Any, field: str, said: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        analyse(payload, now=clock())
    assert (caught.value.field, caught.value.retryable, caught.value.code) == (field, False, "VALIDATION_ERROR")
    assert said in caught.value.message


def test_a_clock_that_is_set_back_gives_no_negative_duration() -> None:
    assert analyse(run_of(), now=clock(-5000))["durationMs"] == 0


# -- bad rows ----------------------------------------------------------------------------------------------------------

BAD_ROWS: list[tuple[Any, Exclusion]] = [
    *((row, Exclusion.NOT_AN_OBJECT) for row in (None, 5, "text", [], True)),
    ({}, Exclusion.NO_MODEL),
    *((transcript(model, "s", 3), Exclusion.NO_MODEL) for model in ("", "  ", "\ud800")),
    *(({**transcript("m", "s", 3), "modelId": model}, Exclusion.NO_MODEL) for model in (None, 7, ["m"])),
    *(({**transcript("m", "s", 3), "summary": summary}, Exclusion.NO_SUMMARY) for summary in (None, "4", [4], 4)),
    ({"modelId": "m"}, Exclusion.NO_SUMMARY),
    (transcript("m", "s", None), Exclusion.NO_SCORE),
    ({**transcript("m", "s", 3), "summary": {}}, Exclusion.NO_SCORE),
    *(
        (transcript("m", "s", score), Exclusion.NOT_A_NUMBER)
        for score in ("other", True, False, [], {}, "", "4/5", "nan")
    ),
    *((transcript("m", "s", score), Exclusion.NOT_FINITE) for score in (float("nan"), float("inf"), 10**400)),
    *((transcript("m", "s", score), Exclusion.OFF_SCALE) for score in (7, 0, -1, 5.01, "6", 1e300)),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_one_bad_transcript_is_counted_with_its_reason_and_changes_no_figure(row: Any, reason: Exclusion) -> None:
    good = example(scenarios=12)
    clean = analyse(good, now=clock())
    spoilt = analyse({**good, "transcripts": [*good["transcripts"][:5], row, *good["transcripts"][5:]]}, now=clock())
    assert spoilt["excluded"]["count"] == 1
    assert spoilt["excluded"]["byReason"] == [{"code": reason.name, "reason": reason.value, "count": 1}]
    assert spoilt["excluded"]["examples"][0]["index"] == 5
    assert "EXCLUDED_TRANSCRIPTS" in codes(spoilt)
    spoilt["perModel"].pop("m", None)  # a model whose only transcript has no score is there, without figures
    assert spoilt["perModel"] == clean["perModel"]
    assert spoilt["dimensionAnalysis"] == clean["dimensionAnalysis"]
    assert spoilt["mostContestedScenarios"] == clean["mostContestedScenarios"]
    assert clean["modelAgreement"]["pairwise"].items() <= spoilt["modelAgreement"]["pairwise"].items()
    assert spoilt["modelAgreement"]["overallKappa"] == clean["modelAgreement"]["overallKappa"]


@pytest.mark.parametrize(
    "part",
    [
        {"scenario": None},
        {"scenario": "x"},
        {"scenario": {"name": 5, "dimensions": None}},
        {"scenario": {"dimensions": [1]}},
    ],
)
def test_a_transcript_with_a_strange_scenario_keeps_its_score(part: dict[str, Any]) -> None:
    analysis = analyse(run_of({**transcript("m", "s", 3), **part}), now=clock())
    assert analysis["perModel"]["m"]["mean"] == 3
    assert analysis["excluded"]["count"] == 0


@pytest.mark.parametrize("score", ["4", " 4 ", "4.0", 4, 4.0])
def test_a_score_may_be_written_as_text(score: Any) -> None:
    assert analyse(run_of(transcript("m", "s", score)), now=clock())["perModel"]["m"]["mean"] == 4


def test_a_model_without_scores_is_there_and_null() -> None:
    analysis = analyse(run_of(transcript("m", "s", None), transcript("n", "s", 3)), now=clock())
    assert (analysis["perModel"]["m"]["mean"], analysis["perModel"]["m"]["sampleSize"]) == (None, 0)
    assert analysis["modelAgreement"]["pairwise"] == {"m_vs_n": None}
    assert "no scored scenario" in analysis["modelAgreement"]["pairs"][0]["reasons"]["kappa"]


def test_transcripts_without_a_scenario_are_in_no_comparison() -> None:
    rows = [transcript(model, None, score) for model in ("a", "b") for score in (1, 3, 5)]
    analysis = analyse(run_of(*rows), now=clock())
    assert analysis["perModel"]["a"]["mean"] == 3
    assert analysis["modelAgreement"]["overallKappa"] is None
    assert analysis["visualizationData"]["modelScenarioMatrix"] == []
    assert "NO_SCENARIO_ID" in codes(analysis)


def test_d19_an_empty_run_has_no_figures_at_all() -> None:
    analysis = analyse(run_of(), now=clock())
    assert analysis["perModel"] == analysis["dimensionAnalysis"] == {}
    assert analysis["modelAgreement"]["overallAgreement"] is None
    assert analysis["modelAgreement"]["overallKappa"] is None
    assert analysis["modelAgreement"]["reasons"]
    assert codes(analysis) == {"NO_TRANSCRIPTS"}


def test_excluded_transcripts_are_listed_up_to_twenty_and_all_counted() -> None:
    excluded = analyse(run_of(*[None] * 50, {"id": "bad-1"}), now=clock())["excluded"]
    assert (excluded["count"], len(excluded["examples"])) == (51, 20)
    assert read_rows([{"id": "bad-1"}]).excluded[0].id == "bad-1"


def test_rows_pass_through_and_raw_transcripts_are_read() -> None:
    row = Row("m", "s", None, 3.0, None, None)
    assert as_rows([row]) == [row]
    assert as_rows([{"modelId": "m", "scenarioId": "s", "summary": {"score": 3}}]) == (row,)
    assert read_rows([transcript("m", 7, 3), transcript("m", "7", 3), transcript("m", True, 3)]).rows[0].scenario == "7"


# -- warnings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenarios", "expected"), [(9, "SMALL_SAMPLE"), (10, "MODERATE_SAMPLE"), (29, "MODERATE_SAMPLE"), (30, None)]
)
def test_small_samples_are_warned_of_at_their_thresholds(scenarios: int, expected: str | None) -> None:
    found = codes(analyse(example(models=2, scenarios=scenarios), now=clock())) & {"SMALL_SAMPLE", "MODERATE_SAMPLE"}
    assert found == ({expected} if expected else set())


def test_a_crowd_of_small_samples_is_one_warning_more() -> None:
    crowd = run_of(*(transcript(f"m{index:03}", "s", 3) for index in range(80)))
    said = [warning for warning in analyse(crowd, now=clock())["warnings"] if warning["code"] == "SMALL_SAMPLE"]
    assert len(said) == 51
    assert said[-1]["message"].startswith("30 more models")


def test_what_a_reader_should_know_is_said() -> None:
    repeated = example(scenarios=30, repeats=2)
    assert {"REPEATED_SCENARIOS"} <= codes(analyse(repeated, now=clock()))
    assert codes(analyse(example(models=1, scenarios=30), now=clock())) == {"SINGLE_MODEL"}
    assert codes(analyse(example(scenarios=30), now=clock())) == set()
    plain = [transcript(m, f"s{i}", 1 + (i * 7) % 5) for m in "ab" for i in range(30)]
    assert codes(analyse(run_of(*plain), now=clock())) == {"NO_DIMENSIONS"}
    gappy = example(scenarios=30)
    del gappy["transcripts"][4]
    for row in gappy["transcripts"][:3]:
        del row["scenario"]["dimensions"]["stake"]
    assert codes(analyse(gappy, now=clock())) == {"INCOMPLETE_DESIGN", "PARTIAL_DIMENSIONS", "MODERATE_SAMPLE"}
    gappy["transcripts"][6]["scenario"]["dimensions"]["severity"] = 99
    assert "INCONSISTENT_DIMENSIONS" in codes(analyse(gappy, now=clock()))
    apart = [transcript(m, f"{m}{i}", 1 + i % 5, d=i % 3) for m in "ab" for i in range(30)]
    assert {"DISCONNECTED_MODELS", "FEW_COMMON_SCENARIOS"} <= codes(analyse(run_of(*apart), now=clock()))
    few = analyse(example(scenarios=8), now=clock())
    assert "FEW_SCENARIOS" in codes(few)
    twice = example(scenarios=30)
    twice["transcripts"][1]["id"] = twice["transcripts"][0]["id"] = "same"
    assert "REPEATED_IDS" in codes(analyse(twice, now=clock()))
    crowd = [transcript(f"m{i}", "s", 3) for i in range(101)]
    assert "TOO_MANY_MODELS" in codes(analyse(run_of(*crowd), now=clock()))
    odd = transcript("m", "s", 3)
    odd["summary"]["values"] = {"Care": "sometimes"}
    assert "UNRECOGNISED_VALUES" in codes(analyse(run_of(odd), now=clock()))


# -- the same whatever the machine -------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=15)
def test_the_order_of_transcripts_changes_nothing(rng: random.Random) -> None:
    run = example(models=4, scenarios=9, repeats=3)
    shuffled = copy.deepcopy(run)
    rng.shuffle(shuffled["transcripts"])
    assert analyse(shuffled, now=clock()) == analyse(run, now=clock())


def test_the_payload_is_left_as_it_was() -> None:
    run = example()
    before = copy.deepcopy(run)
    analyse(run, now=clock())
    assert run == before


def test_d16_the_hash_seed_changes_no_byte() -> None:
    """D16: the sign of an effect size depended on the order of a set."""
    script = (
        "import json, sys; from datetime import datetime, UTC; from src.worker.evaluation.analysis import analyse; "
        "json.dump(analyse(json.load(sys.stdin), now=lambda: datetime(2026, 1, 1, tzinfo=UTC)), sys.stdout)"
    )
    payload = json.dumps(example(5, 9, 2)).encode()
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            input=payload,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(outputs) == 1
    assert json.loads(outputs.pop())["perModel"]


def test_d17_model_ids_with_colons_are_only_names() -> None:
    models = ["anthropic:claude-sonnet-4", "openai:gpt-4", "google:gemini:pro", "x_vs_y", "日本:モデル"]
    analysis = analyse(
        run_of(*(transcript(m, f"s{i}", 1 + (i + k) % 5) for k, m in enumerate(models) for i in range(6))), now=clock()
    )
    assert list(analysis["perModel"]) == sorted(models)
    assert len(analysis["modelAgreement"]["pairwise"]) == 10


def test_d23_the_level_of_significance_is_the_callers() -> None:
    run = example(scenarios=30)
    strict, lax = analyse(run, now=clock(), alpha=1e-9), analyse(run, now=clock(), alpha=0.999)
    assert (strict["methodsUsed"]["alpha"], lax["methodsUsed"]["alpha"]) == (1e-9, 0.999)
    for analysis, alpha in ((strict, 1e-9), (lax, 0.999)):
        for entry in (*analysis["dimensionAnalysis"].values(), *analysis["modelAgreement"]["pairs"]):
            assert entry["significant"] == (entry["pValueCorrected"] <= alpha)
    for alpha in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="alpha"):
            analyse(run, now=clock(), alpha=alpha)


def test_d23_pairs_and_dimensions_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from src.worker.evaluation.stats import dimension_impact, model_comparison

    calls: list[str] = []
    for module, name in ((model_comparison, "compare"), (dimension_impact, "dimension_effect")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, _name=name, _original=original: (calls.append(_name), _original(*args))[1]
        )
    analyse(example(models=4), now=clock())
    assert (calls.count("compare"), calls.count("dimension_effect")) == (6, 2)


def test_importing_the_analysis_is_light_and_running_it_loads_no_more_than_it_needs() -> None:
    script = (
        "import sys; import src.worker.evaluation.analysis, src.worker.evaluation.report; "
        "print('numpy' in sys.modules, 'scipy' in sys.modules)\n"
        "from datetime import datetime, UTC\n"
        "src.worker.evaluation.analysis.analyse({'runId': 'r', 'transcripts': [{'modelId': m, 'scenarioId': str(s), "
        "'summary': {'score': 1 + (s * 7) % 5}, 'scenario': {'dimensions': {'d': s % 4, 'e': 'ab'[s % 2]}}} "
        "for m in 'ab' for s in range(40)]}, now=lambda: datetime.now(UTC))\n"
        "print(sorted({'scipy.stats', 'pandas', 'sklearn', 'langchain_core', 'statsmodels'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True)
    assert done.stdout.split("\n")[:2] == ["False False", "[]"]


json_value: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
noisy = st.fixed_dictionaries(
    {},
    optional={
        "id": json_value,
        "modelId": st.sampled_from(["a", "b", "c:d"]) | json_value,
        "scenarioId": st.sampled_from(["s1", "s2", "s3", "s4"]) | json_value,
        "summary": st.fixed_dictionaries({}, optional={"score": st.integers(1, 5) | json_value, "values": json_value})
        | json_value,
        "scenario": st.fixed_dictionaries(
            {}, optional={"name": json_value, "dimensions": st.dictionaries(st.sampled_from("xy"), json_value)}
        )
        | json_value,
    },
)


@given(st.lists(noisy | json_value, max_size=25))
@settings(deadline=None, max_examples=300)
def test_no_list_of_transcripts_breaks_the_analysis(transcripts: list[Any]) -> None:
    analysis = analyse(run_of(*transcripts), now=clock())
    strictjson.dumps(analysis)
    scored = sum(figures["overall"]["count"] for figures in analysis["perModel"].values())
    assert scored + analysis["excluded"]["count"] == len(transcripts)
    for figures in analysis["perModel"].values():
        assert figures["mean"] is None or 1 <= figures["mean"] <= 5
        assert figures["stdDev"] is None or 0 <= figures["stdDev"] <= 2.828428
    for pair in analysis["modelAgreement"]["pairs"]:
        for name, low in (
            ("kappa", -1),
            ("spearmanRho", -1),
            ("pValue", 0),
            ("pValueCorrected", 0),
            ("cliffsDelta", -1),
        ):
            assert pair[name] is None or low <= pair[name] <= 1
        assert (pair["kappa"] is None) == ("kappa" in pair["reasons"])
        assert (pair["spearmanRho"] is None) == ("spearmanRho" in pair["reasons"])
    for entry in analysis["dimensionAnalysis"].values():
        assert entry["correlation"] is None or -1 <= entry["correlation"] <= 1
        assert (entry["correlation"] is None) == ("correlation" in entry["reasons"])
        assert (entry["pValue"] is None) == ("pValue" in entry["reasons"]) == (entry["significant"] is None)
        assert (entry["effectSize"] is None) == ("effectSize" in entry["reasons"])
        assert entry["effectSize"] is None or entry["effectSize"] <= 1
