"""Launches: which texts may tell of one, what is said of it, its one shape (contract 3.18, 1.4). Pure.

The gatekeeper's words ("shipped", "beta", "v2") only say where to look: a parcel ships too. Who decides without a model
asks for more, a verb of launching beside a new thing, and knows nothing of success.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from .. import strictjson
from ..llm.fence import clean
from ..patterns import read
from ..queue_commands import Command
from ..tasks import slug_of
from ..times import iso
from .announcements import KEPT_SEC
from .grounding import echoes, linkless

_READ_MAX: Final = 5_000
"""Characters of a text that are read, as the analysis does."""
_TEXT_MAX: Final = 500

_VERB: Final = (
    r"(?:launch(?:es|ed|ing)?|announc(?:es|ed|ing)|unveil(?:s|ed|ing)?|introduc(?:es|ed|ing)|debut(?:s|ed|ing)?"
    r"|releas(?:es|ed|ing)|roll(?:s|ed|ing)? out|ship(?:s|ped|ping))"
)
_THING: Final = (
    r"(?:(?:brand[- ]?)?new|first|latest|next[- ]gen(?:eration)?|all[- ]new|version|v\d+(?:\.\d+)*|\d+\.0|beta|update"
    r"|features?|app|apps|models?|editions?|product line|collections?|platform|series)"
)
_NEAR: Final = r"(?:[^\w.!?\n]++\w++(?:\.\w++)*+){0,6}?[^\w.!?\n]++"
"""At most six words between the verb and the thing, within one sentence; each part of a hyphenated one counts. Whatever
stands there can be read in one way only: a row of hyphens that might be words or gaps took time without end."""
_STRONG: Final = re.compile(
    rf"\b{_VERB}\b{_NEAR}{_THING}\b|\b{_THING}\b{_NEAR}(?:is |are |has |have |was |were |just )?{_VERB}\b"
    r"|\bnow available\b|\bgo(?:es|ing) live\b|\bnow live\b|\bintroducing\b",
    re.IGNORECASE,
)
_HEDGED: Final = re.compile(
    r"\b(?:rumou?r(?:s|ed)?|leak(?:s|ed)?|might|may|could|should|wish|hop(?:e|es|ing)|if|when will|when are|please|not"
    r"|never|won't|isn't|hasn't|instead of|ever going to|delay(?:s|ed)?|cancel(?:s|led|ed)?)\b",
    re.IGNORECASE,
)
"""A rumour, a wish, a question and a launch that was called off are none."""


class LaunchKind(StrEnum):
    """Whose launch it is, as the platform's keys name it."""

    MY = "my"
    COMPETITOR = "competitor"


@dataclass(frozen=True, slots=True)
class Signs:
    """What the rules see. `words` are the gatekeeper's rules that fired; without any, nobody need be asked."""

    words: tuple[str, ...]
    strong: bool
    """A verb of launching beside a new thing, and nothing that takes it back."""


def signs(text: str) -> Signs:
    """The signs of a launch in a text."""
    text = text[:_READ_MAX]
    words = tuple(dict.fromkeys(hit.rule.name for hit in read(text).affirmed("LAUNCH")))
    return Signs(words, bool(_STRONG.search(text)) and not _HEDGED.search(text) and "?" not in text)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose launch a text would tell of. `brand` is the slug of the one who watches."""

    brand: str
    brand_name: str
    is_competitor: bool
    competitor: str | None
    """Its name; None where the producer only says that it is one."""

    @property
    def kind(self) -> LaunchKind:
        return LaunchKind.COMPETITOR if self.is_competitor else LaunchKind.MY


@dataclass(frozen=True, slots=True)
class Source:
    """Where it is told."""

    text: str
    content_hash: str
    source: str
    mention_id: str | None
    url: str | None
    created_at: datetime


class LaunchAnswer(Protocol):
    """A model's answer to `launch_detection`."""

    @property
    def is_launch(self) -> bool: ...
    @property
    def product_name(self) -> str | None: ...
    @property
    def success_score(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def hype_signals(self) -> tuple[str, ...]: ...
    @property
    def skepticism_signals(self) -> tuple[str, ...]: ...
    @property
    def reception(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """`is_launch` None: nobody can tell. `unknown` says why a figure is null, or signals are left out."""

    is_launch: bool | None
    product: str | None
    score: int | None
    """0..100."""
    band: str | None
    """Contract 3.7."""
    why: str
    hype: tuple[str, ...]
    skepticism: tuple[str, ...]
    overall: str | None
    unknown: Mapping[str, str]


_UNASKED: Final = "no model has read the text"


def by_rules(found: Signs) -> Finding:
    """What can be said without a model: whether it is one, where the words are plain."""
    unknown = dict.fromkeys(("product_name", "success_score", "overall"), _UNASKED)
    if not found.words:
        return Finding(False, None, None, None, "no word of a launch in the text", (), (), None, unknown)
    if found.strong:
        why = "a verb of launching stands beside a new thing"
        return Finding(True, None, None, None, why, (), (), None, unknown)
    why = "there are words of a launch, too few to tell without a model"
    return Finding(None, None, None, None, why, (), (), None, {**unknown, "is_launch": why})


def by_model(said: LaunchAnswer, text: str, band: str) -> Finding:
    """`band` is that of the answer's score. What should come from the text and does not is not taken over."""
    reason = linkless(said.reason, [text]) or "the model's reason is left out: it gives a link that is not in the text"
    if not said.is_launch:
        why = dict.fromkeys(("product_name", "success_score", "overall"), "it is no launch")
        return Finding(False, None, None, None, reason, (), (), None, why)
    unknown: dict[str, str] = {}
    product = said.product_name
    if product is None:
        unknown["product_name"] = "the text does not name it"
    elif clean(product).casefold() not in clean(text).casefold():
        product, unknown["product_name"] = None, "the model named one that is not in the text"
    overall = linkless(said.reception, [text])
    if overall is None:
        none = said.reception is None
        unknown["overall"] = "the model says nothing of it" if none else "the model gave a link that is not in the text"
    hype, doubts = _signals(said.hype_signals, text), _signals(said.skepticism_signals, text)
    if len(hype) + len(doubts) < len(said.hype_signals) + len(said.skepticism_signals):
        unknown["signals"] = "the model named some that are not in the text: they are left out"
    return Finding(True, product, said.success_score, band, reason, hype, doubts, overall, unknown)


def _signals(named: tuple[str, ...], text: str) -> tuple[str, ...]:
    """Those that can have been taken from the text, as the model was told to."""
    return tuple(one for one in named if linkless(one, [text]) and echoes(one, text))


def launch_key(subject: Subject, finding: Finding, day: str) -> str:
    """One per brand, product and kind; a product that nobody named is one per day (UTC)."""
    product = slug_of(finding.product) if finding.product else ""
    named = product or f"unnamed {day}"
    who = slug_of(subject.competitor) if subject.competitor else ""
    digest = hashlib.sha256(f"{who}\x00{named}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{subject.brand}:{subject.kind}:{digest}"


def launch_body(
    subject: Subject, finding: Finding, told: Source, *, detected_at: datetime, marks: Mapping[str, Any]
) -> dict[str, Any]:
    """The contract's prediction (1.4) with the frontend's fields beside it."""
    overall = finding.overall
    text = told.text if len(told.text) <= _TEXT_MAX else told.text[: _TEXT_MAX - 1] + "…"
    signals = {"hype_signals": list(finding.hype), "skepticism_signals": list(finding.skepticism), "overall": overall}
    return {
        "is_launch": finding.is_launch,
        "product_name": finding.product,
        "success_score": finding.score,
        "band": finding.band,
        "reason": finding.why,
        "brand": subject.brand,
        "is_competitor": subject.is_competitor,
        "competitor": subject.competitor,
        "reception": dict(signals),
        **signals,
        "detected_at": iso(detected_at),
        "created_at": iso(told.created_at),
        "source": told.source,
        "source_text": text,
        "source_url": told.url,
        "mention_id": told.mention_id,
        "null_reasons": dict(finding.unknown),
        "degraded": marks["degraded"],
        "degraded_reason": marks["reason"],
        "tier": marks["tier"],
        "llm": marks["llm"],
    }


def launch_commands(subject: Subject, body: Mapping[str, Any]) -> list[Command]:
    """`launch:brand:{b}:my` or `:competitor`. What nobody has judged never replaces what somebody has."""
    command: Command = (
        "SET", f"launch:brand:{subject.brand}:{subject.kind}", strictjson.dumps(body), "EX", KEPT_SEC,
    )  # fmt: skip
    return [(*command, "NX") if body["degraded"] else command]
