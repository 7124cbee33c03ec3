"""Good answers of the scripted model, one function per kind of question, in the form that the prompt asks for.

Which question it is, is told by its system prompt, which is the same bytes for every input. Answers depend on the
question's bytes alone: the same question gets the same answer, before and after a restart.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from src.worker.llm.operations import OPERATIONS

_FENCED = re.compile(r'<data-[a-p]+ kind="([a-z_]+)">\n(.*?)\n</data-', re.DOTALL)
_BAD = frozenset("broken terrible awful crashes slow scam useless refund outage angry worst fails".split())
_GOOD = frozenset("great love lovely excellent quick helpful brilliant smooth happy recommend".split())
_KIND_OF = {operation.system_prompt: name for name, operation in OPERATIONS.items()}
PLAIN = "I choose 4, because it weighs the safety of many over the cost of a few."
"""What is answered to a conversation of the evaluation's own, whose prompts are its users'."""


def operation_of(system: str) -> str | None:
    """The name of the operation whose system prompt this is; None: none of the worker's own."""
    return _KIND_OF.get(system)


def answer(operation: str | None, user: str) -> Any:
    """A document, or plain text where plain text is asked for."""
    if operation is None:
        return PLAIN
    return _ANSWERS[operation](_Question(user))


class _Question:
    """The user's turn, taken apart."""

    def __init__(self, user: str) -> None:
        self._parts = [(kind, text) for kind, text in _FENCED.findall(user)]
        self.number = zlib.crc32(user.encode())

    def texts(self, *kinds: str) -> list[str]:
        return [text for kind, text in self._parts if kind in kinds]

    def first(self, *kinds: str) -> str:
        return next(iter(self.texts(*kinds)), "")


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def _score(text: str) -> float:
    words = set(_words(text))
    return max(-1.0, min(1.0, 0.5 * len(words & _GOOD) - 0.5 * len(words & _BAD)))


def _label(score: float) -> str:
    return "positive" if score > 0 else "negative" if score < 0 else "neutral"


def _sentence(text: str) -> str:
    """The first sentence, without the full stop that may stand elsewhere in the original."""
    return re.split(r"(?<=[.!?])\s", " ".join(text.split()))[0][:250] or "nothing is said"


def _emotions(score: float) -> dict[str, float]:
    return {
        "joy": max(0.0, score),
        "anger": max(0.0, -score),
        **dict.fromkeys(("fear", "sadness", "surprise", "disgust"), 0.0),
    }


def _judged(index: int, text: str) -> dict[str, Any]:
    score = _score(text)
    return {
        "index": index,
        "relevant": True,
        "sentiment": {"label": _label(score), "score": score},
        "intent": "BUG_REPORT" if score < 0 else "PRAISE" if score > 0 else "GENERAL",
        "intent_confidence": 0.8,
        "strategic_tag": "NONE",
        "emotions": _emotions(score),
        "urgency": "medium" if score < 0 else "low",
        "is_sarcastic": False,
        "topics": ["bugs"] if score < 0 else [],
        "lead_score": 0,
        "summary": None,
    }


def _strategy(question: _Question) -> dict[str, Any]:
    text = question.first("mention")
    judged = _judged(0, text)
    return {
        **{name: judged[name] for name in ("relevant", "intent", "strategic_tag", "lead_score")},
        "sentiment_score": judged["sentiment"]["score"],
        "summary": _sentence(text),
        "confidence": 0.8,
        "keywords": [],
        **_no_lists(),
    }


def _no_lists() -> dict[str, list[str]]:
    return {name: [] for name in ("feature_requests", "pain_points", "churn_risks", "recommended_actions")}


def _enhanced(question: _Question) -> dict[str, Any]:
    texts = question.texts("mention")
    score = sum(map(_score, texts)) / max(1, len(texts))
    return {
        "sentiment_score": score,
        "sentiment_label": _label(score),
        "emotions": _emotions(score),
        "is_sarcastic": False,
        "urgency": "low",
        "topics": [],
        "language": "en",
        "entities": {"people": [], "companies": [], "products": []},
        **_no_lists(),
        "lead_score": 0,
    }


def _commercial(question: _Question) -> dict[str, Any]:
    wants = not {"buy", "price", "cost", "trial"}.isdisjoint(_words(question.first("mention")))
    kind = "price_sensitive" if wants else "none"
    return {"sales_intent": wants, "confidence": 0.9, "intent_type": kind, "pain_point": None}


def _complaint(text: str) -> dict[str, Any]:
    pain = 7 if _score(text) < 0 else 1
    return {"category": "reliability" if pain > 1 else "other", "specific_issue": _sentence(text), "pain_level": pain}


def _launch(question: _Question) -> dict[str, Any]:
    launched = "launched" in _words(question.first("mention"))
    return {
        "is_launch": launched,
        "product_name": None,
        "success_score": 60 if launched else 0,
        "reason": "The text says so." if launched else "Nothing is launched.",
        "hype_signals": [],
        "skepticism_signals": [],
        "reception": None,
    }


def _mentioned(question: _Question) -> dict[str, Any]:
    said = {
        "industry": None,
        "is_competitor": True,
        "relationship": "competitor",
        "mentioned_context": "people compare the two",
        "confidence": 0.9,
    }
    return {"competitors": [{"name": name, **said} for name in question.texts("competitor")[:20] if name.strip()]}


def _web_insights(question: _Question) -> dict[str, Any]:
    pages = question.texts("page")
    if not pages:
        return {"known": False, "summary": "Nothing is known.", "sentiment": "neutral", **_insights([], [])}
    points = [{"text": "people talk about the service", "pages": [0]}]
    quoted = next((line for line in pages[0].splitlines() if len(line.split()) > 5), None)
    notable = [] if quoted is None else [
        {"source": "the page", "highlight": _sentence(quoted), "sentiment": "neutral", "page": 0}
    ]  # fmt: skip
    return {
        "known": True,
        "summary": "The pages speak of the service and of what people think of it.",
        "sentiment": "mixed",
        **_insights(points, notable),
    }


def _insights(points: list[Any], notable: list[Any]) -> dict[str, Any]:
    lists = dict.fromkeys(("key_themes", "opportunities", "risks", "recommended_actions"), points)
    return {**lists, "notable_mentions": notable}


def _distribution(question: _Question) -> dict[str, Any]:
    texts = question.texts("mention")
    labels = [_label(_score(text)) for text in texts] or ["neutral"]
    return {name: labels.count(name) / len(labels) for name in ("positive", "negative", "neutral")}


def _replies(question: _Question) -> dict[str, Any]:
    tail = "thank you for telling us about it"
    return {"safe": f"We hear you, {tail}.", "engaging": f"What happened then, and {tail}?", "bold": f"Ouch, {tail}!"}


def _indexed(texts: Sequence[str], one: Callable[[str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"index": index, **one(text)} for index, text in enumerate(texts)]


_ANSWERS: dict[str, Callable[[_Question], Any]] = {
    "summary": lambda q: f"People say: {_sentence(q.first('mention'))}",
    "sentiment": _distribution,
    "enhanced_analysis": _enhanced,
    "strategic_analysis": _strategy,
    "commercial_intent": _commercial,
    "competitor_complaint": lambda q: _complaint(q.first("mention")),
    "competitor_complaints": lambda q: {"complaints": _indexed(q.texts("mention"), _complaint)},
    "launch_detection": _launch,
    "competitor_detection": lambda q: {"competitors": []},
    "web_insights": _web_insights,
    "response_suggestion": _replies,
    "competitor_mentions": _mentioned,
    "competitor_web_analysis": lambda q: {"summary": "The pages compare nobody.", "competitors": []},
    "web_content": lambda q: {"insights": [], "competitors": [], "opportunities": []},
    "history_summary": lambda q: {
        "summary": "Records of ordinary days.", "key_events": [], "themes": [], "sentiment_score": 0.0
    },
    "judge_mentions": lambda q: {"verdicts": [_judged(index, text) for index, text in enumerate(q.texts("mention"))]},
    "cluster_label": lambda q: {"label": f"what people say {q.number % 97}", "summary": _sentence(q.first("mention"))},
    "decision_explanation": lambda q: "The model chose its rating because it weighed safety over cost.",
}  # fmt: skip
