"""Every family of Redis keys that is known, and what the janitor may do to it. One table, pure.

Keys of the worker's own (docs/architecture.md) and of the platform (contract 1.1, 1.3, 1.4, 4). A key that matches no
row is not known, and what is not known is never touched, nor is a key whose type is another than its row says.

What may go: copies whose authority is MongoDB (feeds, lists of leads), and caches. What only Redis has never goes:
streams, delayed tasks, lanes, dead letters, locks, meters, input nobody has read, records of failures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from .keys import PlatformKeys

_HOUR_SEC: Final = 3_600
_DAY_SEC: Final = 86_400
_FEED_SEC: Final = 30 * _DAY_SEC
"""Contract 4, table of TTLs: feeds, leads, crises and launches live for 30 days; the counters go with their lists."""
_RESULTS_SEC: Final = 7 * _DAY_SEC
"""As the worker itself gives to results that no orchestrator collects."""
_NEIGHBOURS_QUEUE_MAX: Final = 10_000
"""What the worker's own publishers leave in queues of a notification worker that nobody empties."""

RedisType = Literal["string", "list", "set", "zset", "hash", "stream"]


class Authority(StrEnum):
    """Where the truth is of which the key tells."""

    MONGODB = "mongodb"
    """Redis has a copy."""
    NOWHERE = "nowhere"
    """A cache, which is computed again, or a meter of a time that is over."""
    REDIS = "redis"
    """What is lost is lost: such keys are bounded by whoever writes them, and not relieved."""
    OTHERS = "others"
    """The key is a neighbour's, who gives it its end; only one that was forgotten is given one by the janitor."""


class Keep(StrEnum):
    """Which end of a list or sorted set holds what is newest, or best."""

    HEAD = "head"
    TAIL = "tail"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class Bound:
    """At most `items` stay. `max_age_sec`: members of a sorted set whose score (epoch seconds) is older go too."""

    items: int
    keep: Keep
    max_age_sec: int | None = None


@dataclass(frozen=True, slots=True)
class Relief:
    """What goes when Redis is over its limit, lowest `order` first.

    `shorten_to` items stay of each key; None: whole keys go, the oldest first, none younger than `min_age_sec`.
    """

    order: int
    shorten_to: int | None = None
    min_age_sec: int = 0


@dataclass(frozen=True, slots=True)
class Family:
    """One row. `<brand>` and `<id>` in `pattern` stand for one word without a colon, `<any>` for anything, `<hour>`
    (2026-03-01:07) and `<minute>` (minutes since 1970) for times."""

    pattern: str
    type: RedisType | None
    """None: its keys have several."""
    authority: Authority
    ttl_sec: int | None = None
    """Life of a key that nobody writes any more. One without a TTL that nobody has touched for days gets it."""
    bound: Bound | None = None
    renewed: bool = True
    """Its writers renew the TTL. Where they do not, the janitor does as long as the key is used."""
    orphan_when_brand_gone: bool = False
    """Without a TTL it gets `ttl_sec` only when its brand is in the set of brands no more."""
    relief: Relief | None = None


class Known(NamedTuple):
    """What the name of a key says."""

    family: Family
    brand: str | None
    moment: datetime | None
    """The end of the hour or minute in the name, where there is one."""


_M, _N, _R, _O = Authority.MONGODB, Authority.NOWHERE, Authority.REDIS, Authority.OTHERS
_CACHE: Final = Relief(order=1)
_BUCKET: Final = Relief(order=2, min_age_sec=25 * _HOUR_SEC)
"""The gateway's live view reads the last 24 buckets, the one of this hour among them."""


def _shortened(items: int) -> Relief:
    return Relief(order=3, shorten_to=items)


_OWN: Final = (
    *(Family(f"worker:{name}:<id>", "stream", _R) for name in ("tasks", "unparked")),
    Family("worker:delayed", "zset", _R),
    Family("worker:dead", "stream", _R),
    Family("worker:lanes:<id>", "zset", _R),
    Family("worker:lane:<any>", "list", _R),
    Family("worker:dedup:<any>", "string", _R, ttl_sec=_HOUR_SEC),
    Family("worker:insight:<any>", "string", _R, ttl_sec=_FEED_SEC),
    Family("worker:near:<any>", "hash", _R, ttl_sec=_FEED_SEC),
    Family("worker:llm:cache:<any>", "string", _N, ttl_sec=7 * _DAY_SEC, relief=_CACHE),
    Family("worker:llm:verdict:<any>", "string", _N, ttl_sec=7 * _DAY_SEC, relief=_CACHE),
    Family("worker:llm:rate:<any>", "string", _R, ttl_sec=_HOUR_SEC),
    Family("worker:http:rate:<any>", "string", _R, ttl_sec=_HOUR_SEC),
    Family("worker:llm:budget:<any>", None, _R, ttl_sec=3 * _DAY_SEC),
    Family("worker:standby:<any>", "string", _R),
    Family("worker:bluesky:<any>", "string", _R, ttl_sec=_FEED_SEC),
    Family("worker:launch:<any>", "string", _R, ttl_sec=_DAY_SEC),
    Family("worker:competitors:tried:<any>", "string", _R, ttl_sec=_DAY_SEC),
    Family("worker:janitor:<any>", "string", _R),
    Family("worker:doctor:<any>", "string", _N, ttl_sec=_HOUR_SEC),
    Family("workers:heartbeat:<any>", "string", _O),
)

_FEEDS: Final = (
    Family("data:brand:<brand>:<hour>", "list", _M, _FEED_SEC, Bound(1_000, Keep.HEAD), relief=_BUCKET),
    Family("data:<brand>:<hour>", "list", _O, _FEED_SEC),
    Family(
        "data:brand:<brand>:optimized_mentions",
        "list",
        _M,
        _FEED_SEC,
        Bound(1_000, Keep.HEAD),
        relief=_shortened(100),
    ),
    Family("data:brand:<brand>:influencers", "zset", _M, _FEED_SEC, Bound(100, Keep.HIGHEST)),
    Family("data:brand:<brand>:influencers:authors", "hash", _M, _FEED_SEC),
    Family(
        "competitor:<id>:mentions",
        "list",
        _M,
        _FEED_SEC,
        Bound(1_000, Keep.HEAD),
        renewed=False,
        relief=_shortened(100),
    ),
    Family("competitor:<id>:mention_count", "string", _R, _FEED_SEC, renewed=False),
    Family("competitor:<id>:sentiment:<id>", "string", _R, _FEED_SEC, renewed=False),
    Family("competitor:complaints:<id>", "list", _M, _FEED_SEC, Bound(100, Keep.HEAD), renewed=False),
    Family("leads:brand:<brand>", "list", _M, _FEED_SEC, Bound(100, Keep.HEAD), renewed=False),
    Family("leads:monitor:<id>", "list", _M, _FEED_SEC, Bound(100, Keep.HEAD), renewed=False),
    Family("crisis:events:<brand>", "list", _M, _FEED_SEC, Bound(50, Keep.HEAD), renewed=False),
    Family("crisis:metrics:<brand>", "string", _M, _DAY_SEC),
    Family("crisis:sentiment:<brand>", "string", _O, _HOUR_SEC),
    Family("health:brand:<brand>", "string", _M, _DAY_SEC),
    Family("summary:brand:<brand>", "string", _M, 8 * _DAY_SEC),
    Family("spike:brand:<brand>", "list", _M, 7 * _DAY_SEC, Bound(100, Keep.HEAD)),
    Family("spike:brand:<brand>:<id>", "list", _O, _DAY_SEC, Bound(100, Keep.HEAD)),
    Family("spike:<brand>:<id>", "list", _O, _DAY_SEC, Bound(100, Keep.HEAD)),
    Family("launch:brand:<brand>:<id>", "string", _M, _FEED_SEC),
    Family("brand:<brand>:competitors_detected", "string", _O, 7 * _DAY_SEC),
)

_QUEUES_AND_NEIGHBOURS: Final = (
    Family("queue:leads", "list", _M, bound=Bound(_NEIGHBOURS_QUEUE_MAX, Keep.TAIL)),
    Family("queue:crisis:events", "list", _M, bound=Bound(_NEIGHBOURS_QUEUE_MAX, Keep.TAIL)),
    Family("queue:competitors:complaints", "list", _M, bound=Bound(_NEIGHBOURS_QUEUE_MAX, Keep.TAIL)),
    Family("queue:competitor_detection", "list", _R),
    Family("tasks:<id>", "list", _R),
    Family("data:brand:<brand>:mentions", "list", _R),
    Family("batch:<id>:total", "string", _O, 600),
    Family("batch:<id>:remaining", "string", _O, 600),
    Family("brand:<brand>:meta", "string", _O),
    Family("processed:brand:<brand>:ids", "set", _O, 7 * _DAY_SEC),
    Family("rate_limit:global:<minute>", "string", _N, _HOUR_SEC),
)


def families(keys: PlatformKeys, *, hot_days: int, result_ttl_sec: int) -> tuple[Family, ...]:
    """The whole table. Names of the platform's queues depend on settings.

    Args:
        hot_days: age from which mentions are archived; the timeline, a copy, holds none that are older.
        result_ttl_sec: life of `worker:result:<id>`.
    """
    timeline = Bound(10_000, Keep.HIGHEST, hot_days * _DAY_SEC)
    return (
        *_OWN,
        Family("worker:result:<any>", "string", _R, ttl_sec=result_ttl_sec),
        *_FEEDS,
        Family("data:brand:<brand>:timeline", "zset", _M, _FEED_SEC, timeline, relief=_shortened(1_000)),
        *_QUEUES_AND_NEIGHBOURS,
        Family(keys.brands, "set", _O),
        # What waits to be read is input, however long it waits.
        Family(f"{keys.queue_prefix}<brand>:chunks", "list", _R),
        Family(f"{keys.queue_prefix}<brand>:raw_mentions", "list", _R),
        Family(f"{keys.failed_prefix}<brand>", "list", _R),
        # Aggregators leave the results of a brand that is deleted (contract 1.1), and nobody asks for them again.
        Family(keys.results("<brand>"), "list", _R, _RESULTS_SEC, renewed=False, orphan_when_brand_gone=True),
        Family(f"{keys.result_prefix}<brand>:web_insights", "string", _M, _DAY_SEC),
        Family(f"{keys.result_prefix}<brand>:competitors_detected", "string", _M, 7 * _DAY_SEC),
    )


_WORDS: Final = {
    "<brand>": r"(?P<brand>[^:]+)",
    "<id>": r"[^:]+",
    "<any>": r".+",
    "<hour>": r"(?P<hour>\d{4}-\d\d-\d\d:\d\d)",
    "<minute>": r"(?P<minute>\d{7,9})",
}
_PLACE: Final = re.compile(r"(<[a-z]+>)")


class Classifier:
    """Which family a key is of. Built once; a look at a name costs about two microseconds."""

    def __init__(self, table: Iterable[Family]) -> None:
        self._exact: dict[str, Known] = {}
        self._by_start: dict[str, list[tuple[re.Pattern[str], Family]]] = {}
        for family in sorted(table, key=_openness):
            if "<" not in family.pattern:
                self._exact[family.pattern] = Known(family, None, None)
            else:
                # Settings may give a prefix of several words; the first word has a colon behind it at any rate.
                self._by_start.setdefault(family.pattern.partition(":")[0], []).append((_compiled(family), family))

    def __call__(self, key: str) -> Known | None:
        exact = self._exact.get(key)
        if exact is not None:
            return exact
        for pattern, family in self._by_start.get(key.partition(":")[0], ()):
            found = pattern.fullmatch(key)
            if found:
                words = found.groupdict()
                try:
                    return Known(family, words.get("brand"), _moment(words))
                except (ValueError, OverflowError):  # 2026-13-45: the form of a time, and none
                    return None
        return None


def fixed_start(family: Family) -> str:
    """The part of its names that is always the same, with `*` behind it where something follows: for SCAN MATCH."""
    start, found, _ = family.pattern.partition("<")
    return re.sub(r"([*?\[\]\\])", r"\\\1", start) + ("*" if found else "")


def _openness(family: Family) -> tuple[int, int]:
    """The narrower pattern is asked first: fewer places, and none that stands for anything."""
    places = _PLACE.findall(family.pattern)
    narrow = sum(place in ("<hour>", "<minute>") for place in places)
    return places.count("<any>"), 2 * len(places) - narrow


def _compiled(family: Family) -> re.Pattern[str]:
    seen: set[str] = set()
    parts: list[str] = []
    for part in _PLACE.split(family.pattern):
        parts.append(_WORDS["<id>"] if part in seen and part == "<brand>" else _WORDS.get(part, re.escape(part)))
        seen.add(part)
    return re.compile("".join(parts), re.DOTALL)


def _moment(words: Mapping[str, str | None]) -> datetime | None:
    """The end of the time in a name: what is older than that is older as a whole."""
    if hour := words.get("hour"):
        return datetime.strptime(hour, "%Y-%m-%d:%H").replace(tzinfo=UTC) + timedelta(hours=1)
    if minute := words.get("minute"):
        return datetime.fromtimestamp(int(minute) * 60, UTC) + timedelta(minutes=1)
    return None
