"""compute_token_stats: average tokens per model, for the orchestrator's cost estimates. Pure.

The averages are exponentially weighted, as the orchestrator's stored figures are: a run's mean counts 0.3, what is
stored 0.7 (contract 2.7). `sampleCount` says how many probes went in, not what they weigh; `summary` names the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .validation import a_number, an_integer, require_fields, require_list, require_object

REQUIRED: Final = ("runId", "probeResults")
WEIGHT: Final = 0.3
"""Of the new run's mean. Another weight would make figures that the orchestrator's own code contradicts."""
_MOST: Final = 10**15
"""Tokens or samples; more is a mistake, and floats stop counting by one at nine times that."""


@dataclass(frozen=True, slots=True)
class Average:
    input_tokens: float
    output_tokens: float
    samples: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "avgInputTokens": round(self.input_tokens, 2),
            "avgOutputTokens": round(self.output_tokens, 2),
            "sampleCount": self.samples,
        }


def compute_token_stats(payload: Mapping[str, Any], *, clock: Callable[[], float]) -> dict[str, Any]:
    """The whole document: figures of the models in this run.

    Args:
        clock: seconds, for `durationMs`.

    Raises:
        InvalidInput: a field of a wrong type. A probe that cannot be used is left out and counted.
    """
    began = clock()
    require_fields(payload, REQUIRED)
    probes = require_list(payload["probeResults"], "probeResults")
    stored = _stored(payload.get("existingStats"), "existingStats")
    stored_definition = _stored(payload.get("existingDefinitionStats"), "existingDefinitionStats")
    used = [probe for item in probes if (probe := _probe(item)) is not None]
    run = _means(used)
    definition = run if payload.get("definitionId") is not None else {}
    return {
        "success": True,
        "stats": _merged(run, stored),
        "definitionStats": _merged(definition, stored_definition),
        "summary": {
            "modelsUpdated": len(run),
            "totalProbesProcessed": len(used),
            "probesSkipped": len(probes) - len(used),
            "method": "exponentially_weighted_mean",
            "weight": WEIGHT,
            "durationMs": round((clock() - began) * 1000),
        },
    }


def _probe(item: Any) -> tuple[str, int, int] | None:
    """Model and tokens of a probe; None when one of them is missing or cannot be a count."""
    if not isinstance(item, dict):
        return None
    model = item.get("modelId")
    tokens = [_tokens(item.get("inputTokens")), _tokens(item.get("outputTokens"))]
    if not isinstance(model, str) or not model.strip() or tokens[0] is None or tokens[1] is None:
        return None
    return model, tokens[0], tokens[1]


def _tokens(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return int(value)


def _means(probes: Iterable[tuple[str, int, int]]) -> dict[str, Average]:
    sums: dict[str, list[int]] = {}
    for model, tokens_in, tokens_out in probes:
        total = sums.setdefault(model, [0, 0, 0])
        total[0] += tokens_in
        total[1] += tokens_out
        total[2] += 1
    return {
        model: Average(sums[model][0] / n, sums[model][1] / n, n) for model in sorted(sums) if (n := sums[model][2])
    }


def _stored(value: Any, field: str) -> dict[str, Average]:
    if value is None:
        return {}
    out = {}
    for model, figures in require_object(value, field).items():
        where = f"{field}.{model[:100]}"
        one = require_object(figures, where)
        out[model] = Average(
            a_number(one.get("avgInputTokens", 0), f"{where}.avgInputTokens", low=0, high=_MOST),
            a_number(one.get("avgOutputTokens", 0), f"{where}.avgOutputTokens", low=0, high=_MOST),
            an_integer(one.get("sampleCount", 0), f"{where}.sampleCount", low=0, high=_MOST),
        )
    return out


def _merged(run: Mapping[str, Average], stored: Mapping[str, Average]) -> dict[str, Any]:
    out = {}
    for model, new in run.items():
        old = stored.get(model)
        if old is not None and old.samples > 0:
            new = Average(  # noqa: PLW2901 - the merged figure takes the place of the run's
                WEIGHT * new.input_tokens + (1 - WEIGHT) * old.input_tokens,
                WEIGHT * new.output_tokens + (1 - WEIGHT) * old.output_tokens,
                old.samples + new.samples,
            )
        out[model] = new.as_dict()
    return out
