"""What names a brand: from its slug, the aggregators' `brand:{slug}:meta` and the chunk's own keywords."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ..analyzer import BrandTerms
from ..keys import PlatformKeys
from ..logging import get_logger
from ..redis_client import RedisClient, RedisRefused

log = get_logger(__name__)

_KEEP_SEC: Final = 60.0
"""Aggregators rewrite the meta every cycle of minutes; a minute's delay for a new keyword is not felt."""
_MOST_BRANDS: Final = 2_000


@dataclass(frozen=True, slots=True)
class BrandMeta:
    """The aggregators' view of a brand; all empty when they left none (it expires with the brand's lists)."""

    name: str | None = None
    aliases: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()

    def terms(self, slug: str, keywords: Sequence[str] = ()) -> BrandTerms:
        """Terms to find the brand by; `keywords` come in addition."""
        aliases = [*self.aliases, *([self.name] if self.name else [])]
        return BrandTerms.build(slug, aliases=aliases, keywords=[*self.keywords, *keywords])


class BrandDirectory:
    """Reads and keeps the brands' terms for a minute."""

    def __init__(self, client: RedisClient, keys: PlatformKeys, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, BrandMeta]] = OrderedDict()

    async def terms(self, slug: str, keywords: Sequence[str] = ()) -> BrandTerms:
        """Terms to find the brand by. `keywords` are the chunk's own and come in addition.

        Raises:
            QueueUnavailable: Redis cannot be asked.
        """
        return (await self._meta(slug)).terms(slug, keywords)

    async def meta(self, slug: str) -> BrandMeta:
        """Name, aliases and keywords as the aggregators left them. Raises `QueueUnavailable`."""
        return await self._meta(slug)

    async def _meta(self, slug: str) -> BrandMeta:
        known = self._known.get(slug)
        if known is not None and self._clock() - known[0] < _KEEP_SEC:
            self._known.move_to_end(slug)
            return known[1]
        meta = await stored_meta(self._client, self._keys, slug)
        self._known[slug] = (self._clock(), meta)
        self._known.move_to_end(slug)
        while len(self._known) > _MOST_BRANDS:
            self._known.popitem(last=False)
        return meta


async def stored_meta(client: RedisClient, keys: PlatformKeys, slug: str) -> BrandMeta:
    """The meta as it stands in Redis now. Raises `QueueUnavailable`.

    A key of another type is somebody else's mistake, which no waiting mends: every task of the brand would be put off
    for ever.
    """
    try:
        raw = await client.call("GET", keys.meta(slug))
    except RedisRefused as error:
        if not error.reply.startswith("WRONGTYPE"):
            raise
        log.warning("the brand's meta is not a string in Redis and is not used", brand=slug)
        return BrandMeta()
    return read_meta(raw, slug) if raw else BrandMeta()


def read_meta(raw: bytes, slug: str) -> BrandMeta:
    """The meta as far as it can be read; what cannot be is said in the log and left out."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        log.warning("the brand's meta is not a JSON object and is not used", brand=slug)
        return BrandMeta()
    name = document.get("name")
    return BrandMeta(
        name=name if isinstance(name, str) and name.strip() else None,
        aliases=_texts(document, "aliases", slug),
        keywords=_texts(document, "keywords", slug),
    )


def _texts(document: dict[str, Any], field: str, slug: str) -> tuple[str, ...]:
    value = document.get(field)
    if value is None:
        return ()
    if not isinstance(value, list):
        log.warning("a field of the brand's meta is not an array and is not used", brand=slug, field=field)
        return ()
    return tuple(word for word in value if isinstance(word, str) and word.strip())
