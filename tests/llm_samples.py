"""Inputs for every operation, with a text of the test's own in one slot or in all: for tests of prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from src.worker.llm.operations.clusters import Records, Texts
from src.worker.llm.operations.competitors import BrandProfile, NamedInMentions, Pages
from src.worker.llm.operations.judge import Judging
from src.worker.llm.operations.mentions import CompetitorText, CompetitorTexts, OneMention
from src.worker.llm.operations.replies import Comment, Decision, Turn
from src.worker.llm.operations.web import WebScan
from src.worker.models import SentimentLabel

Slots = Callable[[Callable[[str], str]], Any]
"""Inputs of an operation, made by a function that gives each slot, by its name, a text."""


def _texts(slot: Callable[[str], str]) -> Texts:
    return Texts(slot("brand"), (slot("first"), slot("second")), left_out=4)


def _pages(slot: Callable[[str], str]) -> Pages:
    return Pages(slot("brand"), (slot("first"), slot("second")), left_out=1)


def _mention(slot: Callable[[str], str]) -> OneMention:
    return OneMention(slot("brand"), slot("text"), slot("source"), slot("competitor"))


SAMPLES: Final[dict[str, Slots]] = {
    "summary": _texts,
    "sentiment": _texts,
    "enhanced_analysis": _texts,
    "cluster_label": _texts,
    "strategic_analysis": _mention,
    "commercial_intent": _mention,
    "launch_detection": _mention,
    "competitor_complaint": lambda slot: CompetitorText(slot("competitor"), slot("text")),
    "competitor_complaints": lambda slot: CompetitorTexts(slot("competitor"), (slot("first"), slot("second"))),
    "competitor_detection": lambda slot: BrandProfile(slot("brand"), slot("description"), (slot("keyword"), "b")),
    "competitor_mentions": lambda slot: NamedInMentions(slot("brand"), (slot("text"), "x"), (slot("known"),)),
    "competitor_web_analysis": _pages,
    "web_content": _pages,
    "web_insights": lambda slot: WebScan(slot("brand"), (slot("page"),)),
    "history_summary": lambda slot: Records(slot("brand"), (slot("record"), "x")),
    "judge_mentions": lambda slot: Judging(slot("brand"), (slot("first"), slot("second")), slot("competitor")),
    "response_suggestion": lambda slot: Comment(slot("brand"), slot("text"), SentimentLabel.NEGATIVE, slot("voice")),
    "decision_explanation": lambda slot: Decision((Turn(slot("prompt"), slot("response")),), slot("rating")),
}


def slots(name: str) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """Every slot of an operation: its name, and the inputs with a given text there and plain words elsewhere."""
    names: list[str] = []

    def note(slot: str) -> str:
        names.append(slot)
        return slot

    SAMPLES[name](note)

    def filled(chosen: str) -> Callable[[str], Any]:
        return lambda text: SAMPLES[name](lambda slot: text if slot == chosen else f"plain {slot}")

    yield from ((chosen, filled(chosen)) for chosen in names)


def plain(name: str) -> Any:
    """Inputs without anything odd."""
    return SAMPLES[name](lambda slot: f"plain {slot}")
