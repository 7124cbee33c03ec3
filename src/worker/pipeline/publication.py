"""From the stored mentions that a chunk owns to the Redis commands that feed the neighbours (contract 1.3, 1.4). Pure.

A mention has one owner, so it is published once; the commands ride in the transaction that acknowledges the chunk.
Every list is bounded and every key expires. One command per key carries all values of a chunk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import strictjson
from ..queue_commands import Command, Word
from ..times import to_ms
from .enriched import author_key, competitor_id, enriched

_DAY_SEC: Final = 86_400
_KEPT_SEC: Final = 30 * _DAY_SEC
"""Contract 1.4 for all feeds; the counters, which had no end, go with the lists they belong to."""
_FEED_MAX: Final = 1_000
_TIMELINE_MAX: Final = 10_000
_INFLUENCERS_MAX: Final = 100
_LEADS_MAX: Final = 100
_LEAD_QUEUE_MAX: Final = 10_000
"""A notification worker empties it within seconds; without one it must end somewhere."""
_LEAD_QUEUE_SEC: Final = 7 * _DAY_SEC
_WORDS_MAX: Final = 1_000
"""Values per command, an even number for pairs: the script that runs them can unpack some 8,000 words at once."""

QUEUE_LEADS: Final = "queue:leads"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored mention and its feeds' form as strict JSON."""

    document: Mapping[str, Any]
    ms: int
    json: bytes


def publication(
    brand: str, documents: Iterable[Mapping[str, Any]], leads: Sequence[Mapping[str, Any]], *, live: bool
) -> list[Command]:
    """The commands for mentions of one brand, each given once, and for those of their leads that are to be announced.

    Args:
        documents: as they are stored.
        leads: as `leads.lead_of` makes their bodies.
        live: write the hour buckets. The gateway's live view adds them to the raw list `data:brand:{slug}:mentions`
            without looking for repeats, so that they may only be written by a worker that takes the raw list in.

    Raises:
        ValueError: a value that strict JSON cannot carry; names the field.
    """
    entries = sorted((_entry(document) for document in documents), key=lambda entry: entry.ms)
    if not entries:
        return []
    commands = [
        *_feed(f"data:brand:{brand}:optimized_mentions", entries),
        *_timeline(f"data:brand:{brand}:timeline", entries),
        *_influencers(brand, entries),
        *_competitors(entries),
        *_leads(brand, leads),
    ]
    if live:
        hours: dict[str, list[Entry]] = {}
        for entry in entries:
            hours.setdefault(hour_bucket(brand, entry.document), []).append(entry)
        commands += [command for key, found in hours.items() for command in _feed(key, found)]
    return commands


def hour_bucket(brand: str, document: Mapping[str, Any]) -> str:
    """The key of the hour (UTC) in which the mention was written."""
    when = document["created_at"]
    return f"data:brand:{brand}:{when.year:04d}-{when:%m-%d:%H}"


def _entry(document: Mapping[str, Any]) -> Entry:
    return Entry(document, to_ms(document["created_at"]), strictjson.dumps(enriched(document)))


def _feed(key: str, entries: Sequence[Entry]) -> list[Command]:
    """Newest at the head, as readers take the first ones. Of more than fit only the newest are sent."""
    newest = [entry.json for entry in entries[-_FEED_MAX:]]
    return [*_all(("LPUSH", key), newest), ("LTRIM", key, 0, _FEED_MAX - 1), ("EXPIRE", key, _KEPT_SEC)]


def _timeline(key: str, entries: Sequence[Entry]) -> list[Command]:
    """Scored by the mention's own time in epoch seconds."""
    words: list[Word] = []
    for entry in entries[-_TIMELINE_MAX:]:
        words += [f"{entry.ms / 1000:.3f}", entry.json]
    return [*_all(("ZADD", key), words), ("ZREMRANGEBYRANK", key, 0, -_TIMELINE_MAX - 1), ("EXPIRE", key, _KEPT_SEC)]


def _influencers(brand: str, entries: Sequence[Entry]) -> list[Command]:
    """Authors by the influence of their best mention, the newest of equal ones; of competitors' mentions none."""
    best: dict[str, Entry] = {}
    for entry in entries:  # oldest first
        author = author_key(entry.document)
        if author is None or entry.document["competitor"] is not None or entry.document["influence_score"] <= 0:
            continue
        if author not in best or _influence(entry) >= _influence(best[author]):
            best[author] = entry
    ranked = sorted(best.items(), key=lambda item: (-_influence(item[1]), item[0]))[:_INFLUENCERS_MAX]
    if not ranked:
        return []
    key = f"data:brand:{brand}:influencers"
    words: list[Word] = ["TOP_AUTHORS", key, f"{key}:authors", _INFLUENCERS_MAX, _KEPT_SEC]
    for author, entry in ranked:
        words += [author, repr(_influence(entry)), entry.ms, entry.json]
    return [tuple(words)]


def _influence(entry: Entry) -> float:
    return float(entry.document["influence_score"])


def _competitors(entries: Sequence[Entry]) -> list[Command]:
    """Mentions and counters of each competitor that the platform knows by an id."""
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        identity = competitor_id(entry.document)
        if identity is not None:
            by_id.setdefault(identity, []).append(entry)
    commands: list[Command] = []
    for identity, found in by_id.items():
        stem = f"competitor:{identity}"
        commands += _feed(f"{stem}:mentions", found)
        commands += _count(f"{stem}:mention_count", len(found))
        for label, count in Counter(entry.document["sentiment"]["label"] for entry in found).items():
            commands += _count(f"{stem}:sentiment:{label}", count)
    return commands


def _count(key: str, count: int) -> list[Command]:
    return [("INCRBY", key, count), ("EXPIRE", key, _KEPT_SEC)]


def _leads(brand: str, leads: Sequence[Mapping[str, Any]]) -> list[Command]:
    if not leads:
        return []
    bodies = [strictjson.dumps(lead) for lead in sorted(leads, key=lambda lead: int(lead["timestamp"]))]
    key = f"leads:brand:{brand}"
    return [
        *_all(("LPUSH", key), bodies[-_LEADS_MAX:]),
        ("LTRIM", key, 0, _LEADS_MAX - 1),
        ("EXPIRE", key, _KEPT_SEC),
        *_all(("RPUSH", QUEUE_LEADS), bodies[-_LEAD_QUEUE_MAX:]),
        ("LTRIM", QUEUE_LEADS, -_LEAD_QUEUE_MAX, -1),
        ("EXPIRE", QUEUE_LEADS, _LEAD_QUEUE_SEC),
    ]


def _all(head: Command, words: Sequence[Word]) -> list[Command]:
    """The command with all the words, as often as it takes."""
    return [(*head, *words[start : start + _WORDS_MAX]) for start in range(0, len(words), _WORDS_MAX)]
