"""Token averages are the orchestrator's own formula, and a probe that cannot be used changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.worker.evaluation.token_stats import compute_token_stats

from .eval_helpers import in_process


def run(probes: list[Any], **more: Any) -> dict[str, Any]:
    ticks = iter((1.0, 1.25))
    payload = {"runId": "r", "probeResults": probes, **more}
    return compute_token_stats(payload, clock=lambda: next(ticks))


def probe(tokens_in: Any, tokens_out: Any, model: Any = "m") -> dict[str, Any]:
    return {"modelId": model, "inputTokens": tokens_in, "outputTokens": tokens_out}


def old(tokens_in: float, tokens_out: float, samples: int) -> dict[str, Any]:
    return {"m": {"avgInputTokens": tokens_in, "avgOutputTokens": tokens_out, "sampleCount": samples}}


def figures(tokens_in: float, tokens_out: float, samples: int) -> dict[str, Any]:
    return {"avgInputTokens": tokens_in, "avgOutputTokens": tokens_out, "sampleCount": samples}


def test_the_orchestrators_example() -> None:
    document = run([probe(300, 1000)], existingStats=old(100, 500, 50))
    assert document["stats"] == {"m": figures(160, 650, 51)}
    assert document["definitionStats"] == {}
    assert document["summary"] == {
        "modelsUpdated": 1,
        "totalProbesProcessed": 1,
        "probesSkipped": 0,
        "method": "exponentially_weighted_mean",
        "weight": 0.3,
        "durationMs": 250,
    }


@pytest.mark.parametrize("existing", [None, {}, old(900, 900, 0)])
def test_the_first_run_is_a_plain_mean(existing: Any) -> None:
    document = run([probe(1, 2), probe(2, 2), probe(2, 3)], existingStats=existing)
    assert document["stats"] == {"m": figures(1.67, 2.33, 3)}


def test_figures_of_a_definition_are_kept_apart() -> None:
    document = run(
        [probe(300, 1000)],
        definitionId="d",
        existingStats=old(100, 500, 50),
        existingDefinitionStats=old(200, 1000, 2),
    )
    assert document["stats"]["m"] == figures(160, 650, 51)
    assert document["definitionStats"]["m"] == figures(230, 1000, 3)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        None,
        "probe",
        probe(True, 1),
        probe(1, -1),
        probe("1", 1),
        probe(None, 1),
        probe(1, 1, model=""),
        probe(1, 1, model=5),
        probe(1e300, 1),
    ],
)
def test_a_probe_that_cannot_be_used_is_left_out_and_counted(bad: Any) -> None:
    document = run([bad, probe(10.9, 20)])
    assert document["stats"] == {"m": figures(10, 20, 1)}
    assert (document["summary"]["totalProbesProcessed"], document["summary"]["probesSkipped"]) == (1, 1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"runId": "r"}, "Missing required field: probeResults"),
        ({"runId": "r", "probeResults": {}}, "probeResults must be an array"),
        ({"runId": "r", "probeResults": [], "existingStats": []}, "existingStats must be an object"),
        ({"runId": "r", "probeResults": [], "existingStats": {"m": 1}}, "existingStats.m must be an object"),
        (
            {"runId": "r", "probeResults": [], "existingStats": {"m": {"avgInputTokens": "x"}}},
            "existingStats.m.avgInputTokens must be a number",
        ),
        (
            {"runId": "r", "probeResults": [], "existingStats": {"m": {"sampleCount": -1}}},
            "existingStats.m.sampleCount must be between 0 and 1e+15",
        ),
    ],
)
def test_a_clients_mistake_is_named(payload: dict[str, Any], message: str) -> None:
    error = in_process("compute_token_stats", payload)["error"]
    assert (error["message"], error["code"], error["retryable"]) == (message, "VALIDATION_ERROR", False)


_COUNT = st.integers(0, 10**6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.tuples(_COUNT, _COUNT), min_size=1, max_size=20), st.tuples(_COUNT, _COUNT, st.integers(0, 1000)))
def test_a_mean_lies_between_what_went_in(probes: list[tuple[int, int]], stored: tuple[int, int, int]) -> None:
    merged = run([probe(*one) for one in probes], existingStats=old(*stored))["stats"]["m"]
    for position, name in enumerate(("avgInputTokens", "avgOutputTokens")):
        values = [one[position] for one in probes] + ([stored[position]] if stored[2] else [])
        assert min(values) - 0.01 <= merged[name] <= max(values) + 0.01
    assert merged["sampleCount"] == len(probes) + stored[2]
