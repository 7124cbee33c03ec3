"""`competitor_detection`: who competes with a brand, by evidence. Also every item of `queue:competitor_detection`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .. import strictjson
from ..errors import InvalidTask
from ..keys import PlatformKeys
from ..models import Task
from ..queue_commands import Command
from ..redis_client import RedisClient
from ..services.competitors import Competitors, Discovered, Wanted
from ..tasks import BRAND_MAX, brand_field, json_kind, slug_of
from . import HandlerResult

KEPT_SEC: Final = 7 * 86_400
"""Of the result and of the marker that a brand has had its run (contract 1.4)."""
_DESCRIPTION_MAX: Final = 5_000
_KEYWORDS_MAX: Final = 50
_URLS_MAX: Final = 5
"""Pages of one task: what one question to a model can show."""
_URL_MAX: Final = 2_000
_RECORDED: Final = ("brand", "degraded", "degradedReason", "reason", "considered", "errors")


def marker_key(brand: str) -> str:
    """Set when a run has succeeded; while it is there, no automatic run is begun."""
    return f"brand:{brand}:competitors_detected"


class CompetitorDetection:
    """Publishes the whole of what is known of a brand's competitors.

    An empty list is published only where there is none yet, so that whoever polls finds an answer with its reason. The
    marker is set only by a run in which everybody who could be asked has answered.
    """

    def __init__(self, service: Competitors, redis: RedisClient, keys: PlatformKeys) -> None:
        self._service = service
        self._redis = redis
        self._keys = keys

    def check(self, task: Task) -> None:
        wanted(task)

    async def handle(self, task: Task) -> HandlerResult:
        asked = wanted(task)
        if task.payload.get("automatic") is True and await self._redis.call("EXISTS", marker_key(asked.brand)):
            return HandlerResult({"brand": asked.brand, "skipped": "the brand has had its run within a week"})
        found = await self._service.discover(asked)
        names = [one["name"] for one in found.document["suggestedCompetitors"]]
        record = {name: found.document[name] for name in _RECORDED if name in found.document}
        return HandlerResult({**record, "suggested": names}, self._outputs(asked.brand, found))

    def _outputs(self, brand: str, found: Discovered) -> tuple[Command, ...]:
        key = f"{self._keys.result_prefix}{brand}:competitors_detected"
        write: Command = ("SET", key, strictjson.dumps(found.document), "EX", KEPT_SEC)
        if not found.document["suggestedCompetitors"]:
            write = (*write, "NX")  # never over a list that has names, whoever wrote it
        marker: tuple[Command, ...] = (("SET", marker_key(brand), "1", "EX", KEPT_SEC),) if found.complete else ()
        return (write, *marker)


def wanted(task: Task) -> Wanted:
    """The task's fields, checked.

    Raises:
        InvalidTask: its `field` names what is missing or of a wrong type.
    """
    fields = task.payload
    if task.brand is None:
        raise InvalidTask("brand", "is required")
    brand = slug_of(task.brand)
    spelled = next((name for name in ("brandName", "brand_name") if fields.get(name) is not None), None)
    name = task.brand if spelled is None else _text(fields, spelled, BRAND_MAX)
    description = _text(fields, "description", _DESCRIPTION_MAX)
    return Wanted(
        brand=brand,
        name=brand_field(name) or task.brand,
        task_id=task.id,
        description=description or None,
        keywords=tuple(_texts(fields, "keywords", _KEYWORDS_MAX, BRAND_MAX)),
        urls=tuple(dict.fromkeys(_urls(fields))),
    )


def _text(fields: Mapping[str, Any], name: str, limit: int) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidTask(name, f"must be text, not {json_kind(value)}")
    if len(value) > limit:
        raise InvalidTask(name, f"is longer than {limit:,} characters")
    return value.strip()


def _texts(fields: Mapping[str, Any], name: str, most: int, limit: int) -> list[str]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidTask(name, f"must be an array, not {json_kind(value)}")
    if len(value) > most:
        raise InvalidTask(name, f"has {len(value)} items, at most {most} are read")
    out = []
    for index, one in enumerate(value):
        if not isinstance(one, str) or not one.strip():
            raise InvalidTask(f"{name}[{index}]", "must be text that is not empty")
        if len(one) > limit:
            raise InvalidTask(f"{name}[{index}]", f"is longer than {limit:,} characters")
        out.append(one.strip())
    return out


def _urls(fields: Mapping[str, Any]) -> list[str]:
    urls = _texts(fields, "urls", _URLS_MAX, _URL_MAX)
    for index, url in enumerate(urls):
        try:
            parts = urlsplit(url)
        except ValueError:
            raise InvalidTask(f"urls[{index}]", "is not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidTask(f"urls[{index}]", "must begin with http:// or https:// and name a host")
    return urls
