"""What a reader of an analysis should know before relying on it. Each warning names its threshold. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypedDict

from .rows import Reading

SMALL_SAMPLE: Final = 10
MODERATE_SAMPLE: Final = 30
"""Scores of a model below which its figures are unreliable, and below which they are uncertain (contract 4.8)."""
FEW_SCENARIOS: Final = 5
"""With four scenarios even a perfect order has p = .083: no pair of models or dimension can be significant."""
_MODELS: Final = 50
"""Models warned of one by one; the others together."""
_NAMED: Final = 5
"""Names listed in a message before the rest is only counted."""


class Caution(TypedDict):
    """As it stands in `warnings`."""

    code: str
    message: str
    recommendation: str


def collect_warnings(
    reading: Reading,
    per_model: Mapping[str, Mapping[str, Any]],
    agreement: Mapping[str, Any],
    dimensions: Mapping[str, Mapping[str, Any]],
    conflicts: Mapping[str, tuple[str, ...]],
    *,
    adjusted: bool,
    connected: bool,
) -> list[Caution]:
    """All warnings of a run, in a fixed order."""
    return [
        *_of_input(reading, per_model),
        *_of_models(per_model),
        *_of_comparison(per_model, agreement, adjusted=adjusted, connected=connected),
        *_of_dimensions(per_model, dimensions, conflicts),
    ]


def _of_input(reading: Reading, per_model: Mapping[str, Mapping[str, Any]]) -> Iterator[Caution]:
    if not reading.rows and not reading.excluded:
        yield _warning("NO_TRANSCRIPTS", "The run has no transcripts.", "Analyse the run when its probes are done.")
    if reading.excluded:
        reasons = Counter(excluded.reason.value for excluded in reading.excluded)
        listed = "; ".join(f"{count}: {reason}" for reason, count in sorted(reasons.items()))
        yield _warning(
            "EXCLUDED_TRANSCRIPTS",
            f"{len(reading.excluded)} transcripts are not in the score statistics ({listed}).",
            "See `excluded` for the first of them; summarise these transcripts again or check their decision codes.",
        )
    if reading.repeated_ids:
        yield _warning(
            "REPEATED_IDS",
            f"{reading.repeated_ids} transcripts have an id that another one has too; each was counted.",
            "Make sure that no transcript was sent twice.",
        )
    nameless = sum(row.scenario is None and row.score is not None for row in reading.rows)
    if nameless:
        yield _warning(
            "NO_SCENARIO_ID",
            f"{nameless} scored transcripts name no scenario: they are in their model's figures and in no comparison.",
            "Send scenarioId with every transcript.",
        )
    unrecognised = sum(figures["unrecognisedValues"] for figures in per_model.values())
    if unrecognised:
        yield _warning(
            "UNRECOGNISED_VALUES",
            f"{unrecognised} entries of summary.values are none of prioritized, deprioritized, neutral; not counted.",
            "Use one of the three words.",
        )


def _of_models(per_model: Mapping[str, Mapping[str, Any]]) -> Iterator[Caution]:
    counts = {model: figures["overall"]["count"] for model, figures in per_model.items()}
    short = [model for model, count in counts.items() if count < MODERATE_SAMPLE]
    for model in short[:_MODELS]:
        if counts[model] < SMALL_SAMPLE:
            yield _warning(
                "SMALL_SAMPLE",
                f"{model} has {counts[model]} scores, fewer than {SMALL_SAMPLE}: its figures are unreliable.",
                f"Collect at least {MODERATE_SAMPLE} scores per model.",
            )
        else:
            yield _warning(
                "MODERATE_SAMPLE",
                f"{model} has {counts[model]} scores, fewer than {MODERATE_SAMPLE}: its figures are uncertain.",
                "Read the intervals, not the point estimates.",
            )
    if len(short) > _MODELS:
        small = any(counts[model] < SMALL_SAMPLE for model in short[_MODELS:])
        yield _warning(
            "SMALL_SAMPLE" if small else "MODERATE_SAMPLE",
            f"{len(short) - _MODELS} more models have fewer than {MODERATE_SAMPLE} scores.",
            f"Collect at least {MODERATE_SAMPLE} scores per model.",
        )
    repeated = [model for model, figures in per_model.items() if figures["mostRepeats"] > 1]
    if repeated:
        yield _warning(
            "REPEATED_SCENARIOS",
            f"{_listed(repeated)} answered some scenarios more than once. Comparisons and dimensions use one score per "
            "scenario; stdDev and confidenceInterval treat repeats as independent.",
            "For win rates rely on clusteredInterval, which does not.",
        )


def _of_comparison(
    per_model: Mapping[str, Mapping[str, Any]], agreement: Mapping[str, Any], *, adjusted: bool, connected: bool
) -> Iterator[Caution]:
    if len(per_model) == 1:
        yield _warning(
            "SINGLE_MODEL", "The run has one model: there is nothing to compare it with.", "Add a second model."
        )
    small = [pair["key"] for pair in agreement["pairs"] if pair["scenarios"] < FEW_SCENARIOS]
    if small:
        yield _warning(
            "FEW_COMMON_SCENARIOS",
            f"{len(small)} pairs of models have fewer than {FEW_SCENARIOS} scored scenarios in common, too few for any "
            f"significant correlation: {_listed(small)}.",
            "Let both models answer the same scenarios.",
        )
    if len(per_model) > 1 and not agreement["pairs"]:
        yield _warning("TOO_MANY_MODELS", agreement["reasons"]["overallKappa"] + ".", "Split the run.")
    if not connected:
        yield _warning(
            "DISCONNECTED_MODELS",
            "Some models have no scenario in common with the others, not even over a third model: their leanings "
            "cannot be told from those of their scenarios, and dimension effects mix both.",
            "Let all models answer some of the same scenarios.",
        )
    elif adjusted:
        yield _warning(
            "INCOMPLETE_DESIGN",
            "Not every model has a score in every scenario: for the dimensions, scenario scores are adjusted for the "
            "leanings of the models that answered.",
            "Fill the gaps where that is possible.",
        )


def _of_dimensions(
    per_model: Mapping[str, Mapping[str, Any]],
    dimensions: Mapping[str, Mapping[str, Any]],
    conflicts: Mapping[str, tuple[str, ...]],
) -> Iterator[Caution]:
    if not dimensions and any(figures["overall"]["count"] for figures in per_model.values()):
        yield _warning(
            "NO_DIMENSIONS", "No scored transcript has dimensions.", "Send scenario.dimensions to see what matters."
        )
    partial = [
        f"{name} ({entry['scenarios']} of {entry['scenariosTotal']})"
        for name, entry in dimensions.items()
        if entry["scenarios"] < entry["scenariosTotal"]
    ]
    if partial:
        yield _warning(
            "PARTIAL_DIMENSIONS",
            f"Some dimensions are tested on fewer scenarios than have scores: {_listed(partial)}.",
            "Give every scenario a level in every dimension, and every label at least two scenarios.",
        )
    if conflicts:
        named = [f"{name} ({len(scenarios)} scenarios)" for name, scenarios in conflicts.items()]
        yield _warning(
            "INCONSISTENT_DIMENSIONS",
            f"Transcripts of one scenario name different levels; these scenarios are left out: {_listed(named)}.",
            "A dimension belongs to the scenario: send the same level with each of its transcripts.",
        )
    few = [name for name, entry in dimensions.items() if entry["scenarios"] < SMALL_SAMPLE]
    if few:
        yield _warning(
            "FEW_SCENARIOS",
            f"Dimensions with fewer than {SMALL_SAMPLE} scenarios can only show very strong effects: {_listed(few)}.",
            "Repeats of the same scenarios do not help; more scenarios do.",
        )


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _warning(code: str, message: str, recommendation: str) -> Caution:
    return Caution(code=code, message=message, recommendation=recommendation)
