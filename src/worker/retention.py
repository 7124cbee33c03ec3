"""How long what is kept is kept: one row for every collection and every family of Redis keys. Pure.

- Mentions stay at hand for MENTIONS_HOT_DAYS (90). Then each day becomes figures and a summary, and its mentions go
  into the archive byte for byte; there they stay for ever, or for ARCHIVE_KEEP_DAYS.
- What only tells repeats (chunks, posts that were counted) goes after PROCESSED_CHUNKS_TTL_DAYS (90).
- Volume, spikes, crises, leads, launches, complaints, competitors and web scans go after 400 days: a year can be seen
  beside the one before it. How many there were on a day stays with the archived day.
- Model calls go after LLM_CALLS_TTL_DAYS (400), transcripts and analyses after EVALUATIONS_TTL_DAYS (365).
- States of brands and topics, students and history stay: they do not grow with time, or by one small document a day.
- In Redis, copies and caches go after hours to 30 days (`redis_families`); what only Redis has, its writers bound.

Two things follow from MENTIONS_HOT_DAYS: whatever looks back over mentions one by one (competitors, influencers,
mentions of a topic) sees that many days, and the timeline in Redis holds no more. Figures per day are exact for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from .config import Settings
from .redis_families import Authority, Family, families

_YEAR_AND_A_MONTH: Final = 400


class EndedBy(StrEnum):
    """Who takes something away when its time is over."""

    TTL = "ttl"
    """The database itself: a TTL index, or the TTL of a key."""
    JANITOR = "janitor"
    WRITER = "writer"
    """Whoever writes it keeps it in bounds."""
    NEIGHBOUR = "neighbour"
    """It belongs to another service."""
    NOBODY = "nobody"
    """It does not grow with time, or by little; `then` says how much."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `hot_days`: None is for good. `then`: what becomes of it after that, and why it need not stay."""

    name: str
    hot_days: float | None
    then: str
    ended_by: EndedBy


def collections(settings: Settings) -> tuple[Rule, ...]:
    """Every collection of MongoDB."""
    hot, chunks = settings.mentions_hot_days, settings.processed_chunks_ttl_days
    ttl, nobody = EndedBy.TTL, EndedBy.NOBODY
    kept = settings.archive_keep_days or None
    year = "of an archived day, their number and what they were stays in historical_summaries"
    return (
        Rule("mentions", hot, "figures, a summary, and the mention byte for byte in the archive", EndedBy.JANITOR),
        Rule("archived_mentions", kept, "80 bytes per archived mention, by which repeats are known", EndedBy.JANITOR),
        Rule("archive_parts", None, "figures of each block of 2,500 mentions; some kB, and 8 bytes per author", nobody),
        Rule("historical_summaries", None, "one per brand and day; some kB", nobody),
        Rule("archive.files", kept, "the archive itself, where ARCHIVE_URL is gridfs://", EndedBy.JANITOR),
        Rule("archive.chunks", kept, "as archive.files", EndedBy.JANITOR),
        Rule("processed_chunks", chunks, "it tells chunks that are sent again, which producers do within days", ttl),
        Rule("posts", chunks, "it tells repeats that were counted, as long as chunks are known", ttl),
        *(Rule(name, _YEAR_AND_A_MONTH, year, ttl) for name in ("leads", "spikes", "crisis_events")),
        Rule("audit_log", _YEAR_AND_A_MONTH, "who did what in a year can be seen beside the one before it", ttl),
        Rule("volume", _YEAR_AND_A_MONTH, "mentions per day stay in historical_summaries", ttl),
        *(
            Rule(name, _YEAR_AND_A_MONTH, "a year was beside the one before it; of no use after that", ttl)
            for name in ("crisis_assessments", "complaints", "launches", "competitors", "web_scans")
        ),
        Rule("llm_calls", settings.llm_calls_ttl_days, "what calls have cost was accounted for", ttl),
        Rule("transcripts", settings.evaluations_ttl_days, "runs are compared within months", ttl),
        Rule("analyses", settings.evaluations_ttl_days, "as transcripts", ttl),
        Rule("brand_state", None, "one per brand, of bounded size", nobody),
        Rule("topics", None, "one per brand, of bounded size", nobody),
        Rule("topic_numbers", None, "one per brand", nobody),
        Rule("student_labels", None, "the latest 12,000 per task", EndedBy.WRITER),
        Rule("student_models", None, "the latest five versions per task, and one state", EndedBy.WRITER),
        Rule("doctor_checks", 0, "one document of a check, which deletes it at once", EndedBy.WRITER),
        Rule("janitor_control", None, "one document", nobody),
    )


def redis_keys(settings: Settings) -> tuple[Rule, ...]:
    """Every family of Redis keys, from the table the janitor works by."""
    table = families(
        settings.platform_keys, hot_days=settings.mentions_hot_days, result_ttl_sec=settings.task_result_ttl_sec
    )
    return tuple(_of_family(family) for family in table)


def policy(settings: Settings) -> tuple[Rule, ...]:
    """All of it."""
    return (*collections(settings), *redis_keys(settings))


_THEN: Final = {
    Authority.MONGODB: "MongoDB has the truth",
    Authority.NOWHERE: "it is computed again when it is wanted",
    Authority.REDIS: "it is worked off, or its writer bounds it",
    Authority.OTHERS: "a neighbour's; only one that was forgotten is given an end",
}


def _of_family(family: Family) -> Rule:
    days = None if family.ttl_sec is None else family.ttl_sec / 86_400
    then = _THEN[family.authority]
    if family.bound is not None:
        then = f"at most {family.bound.items:,} items; {then}"
        return Rule(family.pattern, days, then, EndedBy.JANITOR)
    if family.authority is Authority.OTHERS:
        return Rule(family.pattern, days, then, EndedBy.NEIGHBOUR)
    return Rule(family.pattern, days, then, EndedBy.TTL if days is not None else EndedBy.WRITER)
