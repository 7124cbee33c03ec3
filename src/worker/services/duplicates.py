"""Near-duplicates of a brand across chunks and replicas: decisions about mentions are kept in Redis, for a time window.

One script reads and writes at once (`lua/near_duplicates.lua`). It writes only when every mention has been compared
with all originals that share a band with it; until then it hands over those that are missing, they are compared here by
the rule of `near_features`, and it is asked again. So two replicas agree who was first, and an execution repeated
after a crash finds its own decisions and comes to the same.

Redis holds per original some 1.4 kB (a short id under 14 bands, and its features), per repeat 0.1 kB, in hashes of one
generation of event time each: a generation is as long as the window, and goes two windows after it was last written to.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakValueDictionary

import orjson

from ..config import Settings
from ..cpu import Cpu
from ..errors import QueueUnavailable
from ..models import Mention
from ..near_duplicates import BANDS, BUCKET_MAX, NearDuplicates, Post, Sketch, signature_version, sketches, within
from ..near_features import Features, features, same_post, unpacked
from ..pipeline.canonical import cut_short
from ..redis_client import RedisClient, Script
from ..times import from_ms, to_ms

_ROUNDS_MAX: Final = 20
"""A round is repeated when another replica has just written an alike original; more in a row is something else."""
_SLICE: Final = 200
"""Mentions per script call: some milliseconds of Redis; chunks have 30."""
_DECISIONS_MAX: Final = 200_000
"""Mentions remembered per brand and generation, 300 MB at worst; what comes after is compared and not remembered."""
_ID_HEX: Final = 16
"""64 bits of a content hash tell the mentions of one brand and window apart."""


@dataclass(frozen=True, slots=True)
class _Original:
    """An original that a mention is compared with."""

    content_hash: str
    at: datetime
    features: Features


@dataclass(slots=True)
class _Asked:
    """One mention while it is being decided."""

    mention: Mention
    sketch: Sketch
    bands: tuple[str, ...]
    candidates: dict[str, _Original] = field(default_factory=dict)
    """By short id, all of Redis that it has been compared with."""
    unlike: set[str] = field(default_factory=set)
    """Content hashes of posts that it was found to be unlike: each round asks for the new ones only."""
    target: str | None = None
    """Content hash of the original, None while it is one itself."""
    fixed: str | None = None
    """The value in Redis, where it was decided before."""

    @property
    def id(self) -> str:
        return self.mention.content_hash[:_ID_HEX]


class NearLinks:
    """Built once per process."""

    def __init__(self, client: RedisClient, cpu: Cpu, *, window: timedelta) -> None:
        if window < timedelta(hours=1):
            raise ValueError("the window must be an hour at least")
        self._client = client
        self._cpu = cpu
        self._window = window
        self._script = Script("near_duplicates")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def build(cls, client: RedisClient, cpu: Cpu, settings: Settings) -> NearLinks:
        return cls(client, cpu, window=timedelta(hours=settings.dedup_window_hours))

    async def of(self, mentions: Sequence[Mention]) -> dict[str, str]:
        """Content hash → that of the mention it repeats; originals are not in it. All of one brand, hashes distinct.

        Raises:
            QueueUnavailable: Redis cannot be asked; nothing was decided that would change.
        """
        links: dict[str, str] = {}
        for start in range(0, len(mentions), _SLICE):
            # One after the other: chunks of one brand that decide at the same time only send each other back.
            async with self._turns.setdefault(mentions[0].brand, asyncio.Lock()):
                links |= await self._decide(mentions[start : start + _SLICE])
        return links

    async def _decide(self, mentions: Sequence[Mention]) -> dict[str, str]:
        asked, version = await self._cpu.run(_prepare, mentions)
        if not asked:
            return {}
        brand = asked[0].mention.brand
        generations = self._generations(asked)
        keys = [key for number in generations for key in _keys(brand, version, number)]
        known: dict[str, _Original] = {}
        for _ in range(_ROUNDS_MAX):
            await self._cpu.run(_compare, asked, self._window)
            question = await self._cpu.run(self._question, asked, generations, list(known))
            status, *answer = await self._script(self._client, keys, [question])
            if status == b"done":
                return _links(asked, answer)
            await self._cpu.run(_take, asked, known, answer[0])
        raise QueueUnavailable(f"near-duplicates of {brand}: undecided after {_ROUNDS_MAX} rounds")

    def _generations(self, asked: Iterable[_Asked]) -> list[int]:
        """Numbers of the generations that can hold a post within the window of one of these."""
        return sorted({self._generation(one) + step for one in asked for step in (-1, 0, 1)})

    def _generation(self, one: _Asked) -> int:
        return to_ms(one.mention.created_at) // round(self._window.total_seconds() * 1000)

    def _question(self, asked: Sequence[_Asked], generations: Sequence[int], known: Sequence[str]) -> bytes:
        posts = [
            {
                "id": one.id,
                "at": generations.index(self._generation(one)) + 1,
                "bands": one.bands,
                "seen": list(one.candidates),
                "value": _value(one),
            }
            for one in asked
        ]
        limits = {"ttl": round(2 * self._window.total_seconds()), "bucket": BUCKET_MAX, "most": _DECISIONS_MAX}
        return orjson.dumps({"keys": BANDS + 1, **limits, "known": known, "posts": posts})


def _keys(brand: str, version: int, generation: int) -> list[str]:
    """Names of a generation's hashes, in one slot of a cluster. Signatures of another version are of no use to us."""
    stem = f"worker:near:{{{brand}}}:{version}:{generation}"
    return [stem, *(f"{stem}:{band}" for band in range(BANDS))]


def _prepare(mentions: Sequence[Mention]) -> tuple[list[_Asked], int]:
    made = sketches([features(mention.canonical, cut=cut_short(mention.text)) for mention in mentions])
    asked = [
        _Asked(mention, sketch, _fields(mention.source, sketch))
        for mention, sketch in zip(mentions, made, strict=True)
        if sketch.bands
    ]
    return asked, signature_version() if asked else 0


def _fields(source: str, sketch: Sketch) -> tuple[str, ...]:
    """Bands as names of hash fields. The source is mixed in: one text on two networks is two mentions."""
    digest = hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    mark = int.from_bytes(digest, "little")
    return tuple(f"{(number & (2**64 - 1)) ^ mark:x}" for number in sketch.bands)


def _compare(asked: Sequence[_Asked], window: timedelta) -> None:
    """Decide all in their order: each against the originals known to Redis, oldest first, then those before it here."""
    here: dict[str, deque[_Asked]] = {}
    for one in asked:
        if one.fixed is not None:
            one.target = one.fixed[1:] if one.fixed.startswith(">") else None
        else:
            one.target = _found(one, here, window)
        if one.target is None:
            for band in one.bands:
                # The newest, as many as Redis keeps: a chunk of texts from one template must not cost its square.
                here.setdefault(band, deque(maxlen=BUCKET_MAX)).append(one)


def _found(one: _Asked, here: Mapping[str, Iterable[_Asked]], window: timedelta) -> str | None:
    """Content hash of the first original that this mention repeats."""
    new = [other for other in one.candidates.values() if other.content_hash not in one.unlike]
    new.sort(key=lambda other: (other.at, other.content_hash))
    met = {other.id: other for band in one.bands if band in here for other in here[band]}
    new += [
        _Original(o.mention.content_hash, o.mention.created_at, o.sketch.features)
        for o in met.values()
        if o.mention.content_hash not in one.unlike
    ]
    for other in new:
        if within(window, other.at, one.mention.created_at) and same_post(other.features, one.sketch.features):
            return other.content_hash
        one.unlike.add(other.content_hash)
    return None


def _take(asked: Sequence[_Asked], known: dict[str, _Original], answer: bytes) -> None:
    """Remember what Redis has handed over: decisions made before, and originals."""
    news = orjson.loads(answer)
    if news["values"]:  # Lua writes an empty table as an object or an array
        known |= {short: _original(value) for short, value in news["values"].items()}
    for number, value in news["decided"].items():
        asked[int(number) - 1].fixed = value
    for number, found in news["unseen"].items():
        one = asked[int(number) - 1]
        one.candidates |= {short: known[short] for short in found}


def _value(one: _Asked) -> str:
    if one.fixed is not None:
        return one.fixed
    if one.target is not None:
        return f">{one.target}"
    packed = base64.b64encode(one.sketch.features.packed()).decode()
    return f"={one.mention.content_hash}|{to_ms(one.mention.created_at)}|{packed}"


def _original(value: str) -> _Original:
    content_hash, at, packed = value[1:].split("|")
    return _Original(content_hash, from_ms(int(at)), unpacked(base64.b64decode(packed)))


def _links(asked: Sequence[_Asked], values: Sequence[bytes]) -> dict[str, str]:
    """The decisions as they stand in Redis: for a mention decided before, not what was found now."""
    decided = {one.mention.content_hash: value.decode() for one, value in zip(asked, values, strict=True)}
    return {digest: value[1:] for digest, value in decided.items() if value.startswith(">")}


def links_within(mentions: Iterable[Mention]) -> dict[str, str]:
    """The same for one batch on its own, without Redis and whatever its times: content hash → the original's."""
    by_source: dict[str, list[Post]] = {}
    for mention in mentions:
        post = Post(mention.content_hash, mention.canonical, cut=cut_short(mention.text))
        by_source.setdefault(mention.source, []).append(post)
    links: dict[str, str] = {}
    for posts in by_source.values():
        for post, original in zip(posts, NearDuplicates().add_all(posts), strict=True):
            if original is not None:
                links[post.id] = original
    return links
