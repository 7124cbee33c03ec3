"""The three-tier engine, tiers 1 and 2: one mention in, one verdict out, with the rules that led to it.

Tier 1 settles what needs no judgement: nothing said, bare thanks, a bare greeting. Tier 2 begins with VADER, corrected
where its words are known to mislead, and the heuristic signals; students that have learned from labels decide instead,
once there are any. Tier 3, a language model, is asked elsewhere about verdicts of low `confidence`. Pure: no I/O, no
clock. The text of a mention is never modified; only its first MAX_CHARS characters are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Final, NamedTuple

from .brand_terms import BrandTerms
from .fallback_analysis import (
    EMOTIONS,
    THRESHOLD,
    Signals,
    conclude,
    priority,
    sarcasm,
    strategic_tag,
    weigh,
)
from .models import (
    Entity,
    Intent,
    Mention,
    Priority,
    Sentiment,
    SentimentLabel,
    StrategicTag,
    Urgency,
    Verdict,
)
from .patterns import BRAND, RIVAL, Reading, read
from .students.panel import UNTAUGHT, Advice, Students, intent_of, reason, score_of
from .students.student import Decision
from .vader import Vader

__all__ = ["MAX_CHARS", "Analyzer", "BrandTerms"]

MAX_CHARS: Final = 5_000
"""Longer than a post of any network watched (Bluesky 300, X 4,000) and more of an article than a reader judges it by.
It bounds the cost of one mention to that of some fifty tweets."""
MAX_ENTITIES: Final = 10
LABEL_BAND: Final = 0.05
"""Contract 3.7: a score above it is positive, one below its negative is negative."""
POLITE: Final = 0.5
"""A compound up to here can come from politeness alone: VADER gives "thanks" 0.44; a warm word has 0.6 and more."""
EVIDENCED: Final = 0.6
"""Confidence from which an intent alone makes a competitor's mention an opportunity."""
THANKS: Final = 0.4
"""Score of bare thanks: VADER gives "thank you" 0.36 and "thanks" 0.44."""
OBVIOUS: Final = 0.95
"""Confidence of tier 1."""

_ENTITY: Final = re.compile(r"(?<![\w&/@#])(?:@\w+(?:\.bsky\.social)?|#\w*[^\W\d]\w*)")
# Possessive, so that it gives up at the first word without looking back.
_NOTHING_SAID: Final = re.compile(
    r"(?:https?://\S+|www\.\S+|[@#]\w+|RT\b|[\s.,!?…|&/\"'“”‘’–—:" + BRAND + RIVAL + r"-])*+\Z"
)
_TELLING: Final = frozenset({"churn", "lead", "bug", "feature", "praise", "emotion", "sarcasm"})

# Words that VADER rates although they say nothing of the mood: handles ("@hope"), requests ("please help"), the name
# of a department, and "like" where it compares or wishes. The brand's name has been masked before for the same
# reason: "united" is +1.8 in VADER's lexicon, "best" +3.2.
_UNFELT: Final = re.compile(
    r"(?<![\w'])(?:@\w+|please|pls|plz|help|(?:customer|cust)\scare|support"
    r"|(?:would|feels?|felt|looks?|looked|seems?|sounds?|something|anything|stuff|more|just|is|was|be|are|it's)\slike)"
    r"(?![\w'])",
    re.IGNORECASE,
)
_UNRATED: Final = "_"
"""A token that VADER does not know takes the place of those words, so that the others keep their distances."""

_FILLER: Final = frozenset(
    f". , ! {BRAND} {RIVAL} @ all team guys everyone folks the and so very much a lot again".split()
)
# What may stand in a bare phrase, one word of which must; its score.
_BARE: Final = (
    ("thanks", THANKS, "thanks thank cheers", "you ok okay many kindly"),
    ("greeting", 0.0, "hi hello hey morning afternoon evening gm gn howdy greetings", "good there"),
    ("acknowledgement", 0.0, "ok okay yes yep yeah sure done sent dm noted understood", "will do got it i did just"),
)
_BARE_WORDS: Final = tuple(
    (name, score, frozenset(core.split()), frozenset(core.split()) | frozenset(rest.split()) | _FILLER)
    for name, score, core, rest in _BARE
)
_LONGEST_BARE: Final = 8
"""Words and marks; a longer text says something."""


class Analyzer:
    """Judges mentions with what is at hand: patterns, VADER and the heuristic rules."""

    def __init__(self, vader: Vader) -> None:
        self._vader = vader

    def analyse(self, mention: Mention, terms: BrandTerms, students: Students = UNTAUGHT) -> Verdict:
        """The verdict of tier 1 or 2. `terms` names the brand watched; a competitor is named by the mention itself."""
        return self.analyse_batch([mention], terms, students)[0]

    def analyse_batch(
        self, mentions: Sequence[Mention], terms: BrandTerms, students: Students = UNTAUGHT
    ) -> list[Verdict]:
        """The verdicts of a chunk, in its order: the students decide about all of them at once."""
        glances = [self.glance(mention, terms) for mention in mentions]
        advice = students.advise([(one.reading, one.score) for one in glances if one.settled is None])
        return [
            _obvious(*glance.settled, glance.seen)
            if glance.settled is not None
            else _judged(glance, next(advice), mention.competitor is not None)
            for glance, mention in zip(glances, mentions, strict=True)
        ]

    def glance(self, mention: Mention, terms: BrandTerms) -> Glance:
        """What the rules and VADER make of a mention, before anybody decides."""
        text = mention.text[:MAX_CHARS]
        masked = _masked(text, mention, terms)
        relevance = _relevance(text, masked, mention, terms)
        reading = read(masked)
        settled = _settled(reading, masked)
        if settled == ("no_words", 0.0) and relevance == "assumed" and "#" not in text:
            relevance = "no_words"
        notes = [f"relevance:{relevance}"]
        if len(mention.text) > MAX_CHARS:
            notes.append("text:truncated")
        seen = Seen(_entities(text), relevance != "no_words", tuple(notes))
        if settled is not None:
            return Glance(reading, settled[1], settled[0], settled, seen)
        score, correction = cold_score(masked, reading, self._vader)
        return Glance(reading, score, correction, None, seen)


class Seen(NamedTuple):
    """What holds for a verdict of any tier."""

    entities: tuple[Entity, ...]
    relevant: bool
    notes: tuple[str, ...]


class Glance(NamedTuple):
    """A mention before anybody decides: its words, the cold start's score in -1..1 and the rule that gave it.

    `settled` is the rule and score of tier 1, None where there is something to judge.
    """

    reading: Reading
    score: float
    correction: str
    settled: tuple[str, float] | None
    seen: Seen


def _obvious(rule: str, score: float, seen: Seen) -> Verdict:
    """A verdict of tier 1."""
    return Verdict(
        sentiment=Sentiment(_label(score), score),
        intent=Intent.GENERAL,
        intent_confidence=OBVIOUS,
        emotions=dict.fromkeys(EMOTIONS, 0.0),
        urgency=Urgency.LOW,
        priority=Priority.P3_LOW,
        strategic_tag=StrategicTag.NONE,
        is_sarcastic=False,
        topics=(),
        entities=seen.entities,
        lead_score=0,
        relevant=seen.relevant,
        tier=1,
        reasons=(f"tier1:{rule}", *seen.notes),
        confidence=OBVIOUS,
    )


def _judged(glance: Glance, advice: Advice, competitor: bool) -> Verdict:
    """A verdict of tier 2."""
    reading, seen, score = glance.reading, glance.seen, glance.score
    reasons = [f"sentiment:{glance.correction}"]
    if advice.sentiment is not None:
        score = score_of(advice.sentiment, glance.score)
        reasons = [reason("sentiment", advice.names[0], advice.sentiment)]
    review = None
    if advice.intent is not None:
        review = partial(intent_of, advice.intent)
        reasons.append(reason("intent", advice.names[1], advice.intent))
    signals = conclude(reading, score, review)
    # A guess at an intent makes no opportunity of a competitor's mention; the mood still may.
    evidenced = not competitor or signals.intent_confidence >= EVIDENCED
    tag = strategic_tag(signals.intent if evidenced else Intent.GENERAL, score, competitor)
    return Verdict(
        sentiment=Sentiment(_label(score), score),
        intent=signals.intent,
        intent_confidence=signals.intent_confidence,
        emotions=signals.emotions,
        urgency=signals.urgency,
        priority=priority(tag, signals.intent, score),
        strategic_tag=tag,
        is_sarcastic=signals.is_sarcastic,
        topics=signals.topics,
        entities=seen.entities,
        lead_score=signals.lead_score,
        relevant=seen.relevant,
        tier=2,
        reasons=(*reasons, *signals.reasons, *seen.notes),
        confidence=_confidence(score, glance.correction, signals, advice.sentiment),
    )


def _masked(text: str, mention: Mention, terms: BrandTerms) -> str:
    """The text with the names of what it is about, and of the brand watched if that is another, replaced by signs."""
    if mention.competitor is None:
        return terms.mask(text, BRAND)
    return terms.mask(_competitor(mention.competitor).mask(text, BRAND), RIVAL)


@lru_cache(maxsize=1024)
def _competitor(name: str) -> BrandTerms:
    return BrandTerms.build(name)


def _relevance(text: str, masked: str, mention: Mention, terms: BrandTerms) -> str:
    """Why the mention counts. The producer matched it by means we may not see: what names nothing is still kept."""
    if BRAND in masked or RIVAL in masked:
        return "named"
    if terms.names(text):
        return "keyword"
    return "assumed" if mention.competitor is None else "competitor"


def _entities(text: str) -> tuple[Entity, ...]:
    """Handles and hashtags as they are written, each once, in order."""
    if "@" not in text and "#" not in text:
        return ()
    found: dict[str, Entity] = {}
    for match in _ENTITY.finditer(text):
        name = match.group()
        found.setdefault(name.casefold(), Entity("handle" if name[0] == "@" else "hashtag", name))
        if len(found) == MAX_ENTITIES:
            break
    return tuple(found.values())


def _settled(reading: Reading, masked: str) -> tuple[str, float] | None:
    """Tier 1: the rule that settles a text, and its score. A hashtag or an emoji that tells something is for tier 2."""
    if len(reading.tokens) <= _LONGEST_BARE:
        for name, score, core, words in _BARE_WORDS:
            if words.issuperset(reading.tokens) and not core.isdisjoint(reading.tokens):
                return name, score
    if _NOTHING_SAID.match(masked) and _TELLING.isdisjoint(reading.hits):
        return "no_words", 0.0
    return None


def _felt(masked: str) -> str:
    """The text as VADER should read it. The typographic apostrophe is none to VADER: "don’t" would negate nothing."""
    if not masked.isascii():
        masked = masked.replace("\u2019", "'")
    return _UNFELT.sub(_UNRATED, masked)


def cold_score(masked: str, reading: Reading, vader: Vader) -> tuple[float, str]:
    """The score in -1..1 of a text whose brand is masked, before any student, and the rule that gave it."""
    return corrected(vader.score(_felt(masked)).compound, reading)


def corrected(compound: float, reading: Reading) -> tuple[float, str]:
    """VADER's compound and "vader", or a better score and the rule, where VADER is known to be blind.

    It knows words and not events: "does not work" is 0.0 to it, "great, another delay" +0.42. So sarcasm turns a good
    mood bad; a failure or a farewell that the rules are sure of makes what is neutral or merely polite negative, half
    as strong as the evidence; and "no bugs, no crashes" is no complaint. A strong mood is left alone.
    """
    if compound > -LABEL_BAND and sarcasm(reading, compound):
        return -max(0.3, 0.5 * compound), "sarcasm"
    if not -POLITE < compound <= POLITE:
        return compound, "vader"
    evidence = weigh(reading, min(compound, 0.0))
    failure = max(evidence["bug"].chance, evidence["churn"].chance)
    if failure >= THRESHOLD:
        praised = weigh(reading, POLITE)["praise"].chance >= THRESHOLD
        if compound >= -LABEL_BAND and not praised:
            return -0.5 * failure, "failure"
    elif any(hit.rule.name == "relief" for hit in reading.affirmed("praise")):
        return max(0.2, compound), "relief"
    return compound, "vader"


def _label(score: float) -> SentimentLabel:
    if score > LABEL_BAND:
        return SentimentLabel.POSITIVE
    return SentimentLabel.NEGATIVE if score < -LABEL_BAND else SentimentLabel.NEUTRAL


def _confidence(score: float, correction: str, signals: Signals, advice: Decision | None) -> float:
    """Two parts mood, one part intent.

    A student's mood is trusted by its calibrated probability. Without one, the mood is trusted by its strength (VADER
    alone is right about 30 % of weak and 60 to 70 % of strong scores), more when the intent says the same by other
    words, less when it says the opposite; a correction is one strong rule. Rounded shares of what was measured on the
    development data: strength alone carries little, agreement most.
    """
    if advice is not None:
        return round((2 * advice.probabilities[advice.label] + signals.intent_confidence) / 3, 3)
    strength = abs(score)
    mood = 0.5 if strength <= LABEL_BAND else 0.3 if strength < 0.3 else 0.45 if strength < 0.6 else 0.6
    complains = signals.intent in (Intent.BUG_REPORT, Intent.CHURN_RISK)
    praises = signals.intent is Intent.PRAISE
    if correction != "vader":
        mood = 0.65
    elif (complains and score < -LABEL_BAND) or praises:
        mood += 0.3
    elif complains and score > LABEL_BAND:
        mood -= 0.2
    return round((2 * mood + signals.intent_confidence) / 3, 3)
