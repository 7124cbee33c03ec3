"""What neighbours read in Redis of a brand's state: spikes, crises, health, summary, messages. Once per version.

Every key has a TTL, every list a bound; the authoritative copies are in MongoDB. The script that writes them remembers
the version it has written, so that whoever publishes an outbox again (after a crash, or two workers at once) changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .. import strictjson
from ..crisis_events import Severity
from ..logging import get_logger
from ..pipeline.brand_state import BrandState
from ..pipeline.brand_summary import brand_summary, chunk_event, crisis_metrics, health_document
from ..queue_commands import Command
from ..redis_client import RedisClient, Script

log = get_logger(__name__)

_DAY: Final = 86_400
_SPIKES_KEPT, _SPIKES_SEC = 100, 7 * _DAY
_CRISES_KEPT, _CRISES_SEC = 50, 30 * _DAY
_METRICS_SEC: Final = _DAY
_HEALTH_SEC: Final = _DAY
"""These bounds are the platform's (contract 1.3, 1.4)."""
_SUMMARY_SEC: Final = 8 * _DAY
"""The platform names none. A silent brand's state is renewed for eight days; after that nothing is said of it."""
_QUEUE_KEPT, _QUEUE_SEC = 10_000, 30 * _DAY
"""`queue:crisis:events` is collected by a notification worker, where there is one; a crisis has four entries."""
_VERSION_SEC: Final = 30 * _DAY
"""As long as the longest-lived of the lists: what was published before is in none of them any more."""


class InsightPublisher:
    """Publishes the outbox of a state that has been stored."""

    def __init__(
        self, client: RedisClient, *, summaries: bool, on_refused: Callable[[int], None] = lambda _: None
    ) -> None:
        """`summaries`: whether `summary:brand:{slug}` is this worker's to write (PUBLISH_SUMMARY)."""
        self._client = client
        self._summaries = summaries
        self._on_refused = on_refused
        self._script = Script("publish_insight")

    async def publish(self, state: BrandState) -> bool:
        """True when something was written, False when this version had been published before.

        Raises:
            QueueUnavailable: Redis cannot be reached; nothing of it was written, or all.
        """
        commands = outputs(state, summaries=self._summaries)
        words = [word for command in commands for word in (len(command), *command)]
        answer: bytes | None = await self._script(
            self._client, [version_key(state.brand)], [state.version, _VERSION_SEC, len(commands), *words]
        )
        if answer is None:
            return False
        if answer:
            refused = answer.decode("utf-8", "replace").split("\n")
            self._on_refused(len(refused))
            log.warning("Redis refused outputs: a key has another type", brand=state.brand, problems=refused[:5])
        return True


def version_key(brand: str) -> str:
    return f"worker:insight:{brand}"


def outputs(state: BrandState, *, summaries: bool) -> list[Command]:
    """The commands of one version, in order."""
    brand, outbox = state.brand, state.outbox
    commands: list[Command] = []
    if outbox.spikes:
        commands += _list(
            f"spike:brand:{brand}", [strictjson.dumps(one) for one in outbox.spikes], _SPIKES_KEPT, _SPIKES_SEC
        )
    told = [one for one in outbox.crises if one["severity"] != Severity.INSUFFICIENT_HISTORY]
    if told:
        key, queue = f"crisis:events:{brand}", "queue:crisis:events"
        # One entry per crisis, as it stands now; the queue gets everything that happened to it.
        commands += [("REPLACE_BY_ID", key, one["id"], strictjson.dumps(one)) for one in told]
        commands += [("LTRIM", key, 0, _CRISES_KEPT - 1), ("EXPIRE", key, _CRISES_SEC)]
        commands.append(("RPUSH", queue, *(strictjson.dumps(one) for one in told)))
        commands += [("LTRIM", queue, -_QUEUE_KEPT, -1), ("EXPIRE", queue, _QUEUE_SEC)]
    metrics = crisis_metrics(state)
    if metrics is not None:
        commands.append(("SET", f"crisis:metrics:{brand}", strictjson.dumps(metrics), "EX", _METRICS_SEC))
    commands.append(("SET", f"health:brand:{brand}", strictjson.dumps(health_document(state)), "EX", _HEALTH_SEC))
    if summaries:
        summary = strictjson.dumps(brand_summary(state))
        commands.append(("SET", f"summary:brand:{brand}", summary, "EX", _SUMMARY_SEC))
    for chunk_id, clusters, mentions in outbox.chunks:
        event = chunk_event(brand, chunk_id, clusters, mentions)
        commands.append(("PUBLISH", f"events:brand:{brand}", strictjson.dumps(event)))
    return commands


def _list(key: str, entries: list[bytes], kept: int, seconds: int) -> list[Command]:
    return [("LPUSH", key, *entries), ("LTRIM", key, 0, kept - 1), ("EXPIRE", key, seconds)]
