"""What a probe is asked to do: its input, checked once at the door. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .compat.cost import ModelCost
from .validation import (
    InvalidInput,
    a_number,
    an_integer,
    optional_text,
    require_fields,
    require_list,
    require_object,
    require_text,
)

REQUIRED: Final = ("runId", "scenarioId", "modelId", "scenario", "config")
_DEFAULT_TEMPERATURE: Final = 0.7
_DEFAULT_MAX_TOKENS: Final = 1024
_DEFAULT_MAX_TURNS: Final = 10
"""The three defaults of the specification's example, which are those of the older workers."""
_MOST_TOKENS: Final = 10_000_000
_MOST_TURNS: Final = 1_000
_SEED_BOUND: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Question:
    label: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Plan:
    run_id: Any
    scenario_id: Any
    model_id: str
    preamble: str | None
    questions: tuple[Question, ...]
    """The scenario's prompt and its follow-ups, as many as `maxTurns` allows. At least one."""
    temperature: float | None
    """None: the provider's own default."""
    max_tokens: int
    seed: int | None
    prices: ModelCost | None
    warnings: tuple[str, ...] = ()


def read_plan(payload: Mapping[str, Any]) -> Plan:
    """Raises `InvalidInput` naming the field, before anything is paid for."""
    require_fields(payload, REQUIRED)
    model_id = require_text(payload["modelId"], "modelId").strip()
    scenario = require_object(payload["scenario"], "scenario")
    config = require_object(payload["config"], "config")
    warnings: list[str] = []
    questions = _questions(scenario, warnings)
    most = _integer(config, "maxTurns", _DEFAULT_MAX_TURNS, low=1, high=_MOST_TURNS)
    own, ignored = _model_config(payload.get("modelConfig"))
    warnings += ignored
    temperature = config.get("temperature", _DEFAULT_TEMPERATURE)
    if temperature is not None:
        temperature = a_number(temperature, "config.temperature", low=0, high=2)
    seed = config.get("seed")
    return Plan(
        run_id=payload["runId"],
        scenario_id=payload["scenarioId"],
        model_id=model_id,
        preamble=optional_text(scenario.get("preamble"), "scenario.preamble"),
        questions=questions[:most],
        temperature=own.get("temperature", temperature),
        max_tokens=own.get("maxTokens", _integer(config, "maxTokens", _DEFAULT_MAX_TOKENS, low=1, high=_MOST_TOKENS)),
        seed=None if seed is None else an_integer(seed, "config.seed", low=-_SEED_BOUND, high=_SEED_BOUND),
        prices=_prices(payload.get("modelCost")),
        warnings=tuple(warnings),
    )


def _questions(scenario: Mapping[str, Any], warnings: list[str]) -> tuple[Question, ...]:
    found = [Question("scenario_prompt", require_text(scenario.get("prompt"), "scenario.prompt"))]
    followups = scenario.get("followups")
    for index, item in enumerate(require_list(followups, "scenario.followups") if followups is not None else []):
        field = f"scenario.followups[{index}]"
        followup = require_object(item, field)
        prompt = followup.get("prompt")
        if isinstance(prompt, str) and not prompt.strip():
            warnings.append(f"{field} has an empty prompt and was left out")
            continue
        label = optional_text(followup.get("label"), f"{field}.label") or f"followup_{index + 1}"
        found.append(Question(label, require_text(prompt, f"{field}.prompt")))
    return tuple(found)


def _integer(config: Mapping[str, Any], name: str, default: int, *, low: int, high: int) -> int:
    value = config.get(name, default)
    if value is None:
        raise InvalidInput(f"config.{name}", "must be a whole number; leave it out for the default")
    return an_integer(value, f"config.{name}", low=low, high=high)


def _model_config(value: Any) -> tuple[dict[str, Any], list[str]]:
    """`modelConfig` beats `config`; what of it cannot be used is ignored with a word, as the orchestrator expects."""
    if value is None:
        return {}, []
    used: dict[str, Any] = {}
    ignored: list[str] = []
    for name, setting in require_object(value, "modelConfig").items():
        field = f"modelConfig.{name}"
        try:
            if name == "temperature":
                used[name] = a_number(setting, field, low=0, high=2)
            elif name == "maxTokens":
                used[name] = an_integer(setting, field, low=1, high=_MOST_TOKENS)
            else:
                ignored.append(f"{field[:100]} is not supported and was ignored")
        except InvalidInput as error:
            ignored.append(f"{error.message}; it was ignored")
    return used, ignored


def _prices(value: Any) -> ModelCost | None:
    """None where no price is named; half a price is a mistake."""
    if value is None:
        return None
    prices = require_object(value, "modelCost")
    if not prices:
        return None
    return ModelCost(
        a_number(prices.get("costInputPerMillion"), "modelCost.costInputPerMillion", low=0),
        a_number(prices.get("costOutputPerMillion"), "modelCost.costOutputPerMillion", low=0),
    )
