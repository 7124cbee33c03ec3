"""One task of every type that the service has, beside chunks of mentions: how often, and with which fields."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.eval_helpers import PROBE, SUMMARIZE
from tests.soak.generator import Generator
from tests.soak.words import sentence

Maker = Callable[[Generator, int], dict[str, Any]]
"""From the generator and a number of its own to the task's fields."""


def _lead(made: Generator, number: int) -> dict[str, Any]:
    brand = made.brand()
    text = f"How much is the price of {brand}? I want to buy it this week, request {number}"
    return {"brand": brand, "text": text, "mention_id": f"lead-{number}", "source_author": f"buyer-{number}"}


def _crisis(made: Generator, number: int) -> dict[str, Any]:
    brand = made.brand()
    mentions = [{"text": f"{sentence(made.rng, brand, 'crisis')} ({number}/{one})"} for one in range(8)]
    return {"brand": brand, "mentions": mentions, "velocity_multiplier": 4}


def _gap(made: Generator, number: int) -> dict[str, Any]:
    mentions = [f"{sentence(made.rng, 'Globex', 'bad')} ({number}/{one})" for one in range(12)]
    rival = {"competitor_id": f"rival-{number % 20}", "competitor_name": "Globex"}
    return {"brand": made.brand(), "mentions": mentions, **rival}


def _competitors(made: Generator, number: int) -> dict[str, Any]:
    return {"brand": made.brand(), "description": f"sells things, offer {number}", "keywords": ["things"]}


def _launch(made: Generator, number: int) -> dict[str, Any]:
    brand = made.brand()
    return {"brand": brand, "text": f"{brand} has just launched the new Rocket {number}, everybody is thrilled"}


def _reply(made: Generator, number: int) -> dict[str, Any]:
    brand = made.brand()
    return {"brand": brand, "text": f"{sentence(made.rng, brand, 'bad')} ({number})"}


def _probe(made: Generator, number: int) -> dict[str, Any]:
    document = copy.deepcopy(PROBE)
    document["runId"] = f"run-{number}"
    document["scenario"]["prompt"] = f"A trolley runs towards {number} people."
    return document


def _summarize(made: Generator, number: int) -> dict[str, Any]:
    turns = [{"probePrompt": f"Choose, {number}.", "targetResponse": "I would choose 4."}]
    return {**SUMMARIZE, "transcriptId": f"t-{number}", "transcriptContent": {"turns": turns}}


def _analysis(made: Generator, number: int) -> dict[str, Any]:
    rows = [
        {
            "id": f"{model}{one}",
            "modelId": model,
            "scenarioId": f"s{one}",
            "summary": {"score": made.rng.randint(1, 5)},
            "scenario": {"name": f"S{one}"},
        }
        for model in ("gpt-4o-mini", "llama", "mistral")
        for one in range(10)
    ]
    return {"runId": f"run-{number}", "transcripts": rows}


def _chunk(made: Generator, number: int) -> dict[str, Any]:
    raise AssertionError("chunks of mentions are made by their producers, who keep account of each mention")


MAKERS: dict[str, tuple[float, Maker]] = {
    "analyze_mentions": (0.0, _chunk),
    "noop": (60.0, lambda made, number: {"n": number}),
    "analyze_lead_intent": (12.0, _lead),
    "analyze_crisis": (6.0, _crisis),
    "analyze_competitor_gap": (6.0, _gap),
    "competitor_detection": (3.0, _competitors),
    "detect_launch": (6.0, _launch),
    "suggest_response": (6.0, _reply),
    "web_scan": (4.0, lambda made, number: {"brand": made.brand()}),
    "bluesky_search": (6.0, lambda made, number: {"brand": made.brand()}),
    "probe": (4.0, _probe),
    "summarize": (4.0, _summarize),
    "analyze_basic": (2.0, _analysis),
    "health_check": (1.0, lambda made, number: {}),
}
"""By type: how many a minute, and how one is made. `test_parts` holds the names to the service's own."""
