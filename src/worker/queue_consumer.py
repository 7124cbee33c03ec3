"""The queue on Redis Streams as its workers see it: claim, acknowledge with outputs, park, take over, give back.

At least once in, exactly once out: an entry stays pending until the same script that acknowledges it writes its
outputs (`lua/finish.lua`). A crash at any instruction repeats work, never loses a task, never publishes twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from . import keys
from .models import Task, TaskPriority, TaskStatus
from .queue_commands import Word
from .queue_entries import Delivery, Finished, read_entry
from .queue_outputs import QueueOutputs
from .queue_producer import QueueClient
from .redis_client import MAX_BLOCK_SEC, RedisClient, RedisRefused, Script
from .times import iso_ms

_PRIORITIES: Final = tuple(TaskPriority)
_STREAMS: Final = [keys.STREAMS[priority] for priority in _PRIORITIES]
_STREAM_BYTES: Final = [name.encode() for name in _STREAMS]
_PARKED_BYTES: Final = [keys.PARKED_STREAMS[priority].encode() for priority in _PRIORITIES]
_LANE_INDEXES: Final = [keys.LANE_INDEXES[priority] for priority in _PRIORITIES]
_CLAIM_KEYS: Final[list[str]] = [
    name
    for priority in _PRIORITIES
    for name in (keys.STREAMS[priority], keys.PARKED_STREAMS[priority], keys.LANE_INDEXES[priority])
]
_WEIGHTS: Final = {TaskPriority.HIGH: 6, TaskPriority.NORMAL: 3, TaskPriority.LOW: 1}
"""Shares of the slots while all have work; critical goes before everything, low keeps one in ten."""
RECLAIM_BATCH: Final = 25
"""Entries taken over per stream and turn: small, so that several workers share what a dead one left."""
_RECLAIM_SEEN: Final = 200
"""Entries looked at for that: those that are not to be taken now must not hide the others for long."""
_PROMOTE_BATCH: Final = 200
_DEDUP_SEC: Final = 3_600
"""How long a dedupKey is remembered: longer than producers repeat themselves, short enough to forget."""


class WeightedTurns:
    """Deals slots to priorities in proportion to their weights (smooth weighted round robin), so that none starves."""

    def __init__(self) -> None:
        self._credit = dict.fromkeys(_WEIGHTS, 0)

    def quotas(self, free: int) -> list[int]:
        """Slots per priority in the order of `TaskPriority`. Critical goes before all shares and may take all."""
        total = sum(_WEIGHTS.values())
        rounds, rest = divmod(free, total)
        dealt = {priority: rounds * weight for priority, weight in _WEIGHTS.items()}
        for _ in range(rest):
            for priority, weight in _WEIGHTS.items():
                self._credit[priority] += weight
            turn = max(self._credit, key=lambda priority: self._credit[priority])
            self._credit[turn] -= total
            dealt[turn] += 1
        return [free if priority is TaskPriority.CRITICAL else dealt[priority] for priority in _PRIORITIES]


class TaskQueue(QueueClient):
    """One consumer of the group. Methods raise `QueueUnavailable` when Redis cannot serve them."""

    def __init__(
        self,
        client: RedisClient,
        *,
        worker_id: str,
        lease_sec: float,
        dead_letters_max: int,
        dead_letters_max_bytes: int = 512 << 20,
        result_ttl_sec: int,
        outputs: QueueOutputs,
    ) -> None:
        super().__init__(client, result_ttl_sec=result_ttl_sec, now_ms=outputs.now_ms)
        self._worker_id = worker_id
        self._lease_ms = int(lease_sec * 1000)
        self._dead_max = dead_letters_max
        self._dead_max_bytes = dead_letters_max_bytes
        self._outputs = outputs
        self._turns = WeightedTurns()
        self._scripts = {
            name: Script(name)
            for name in (
                "claim",
                "park",
                "finish",
                "mark_running",
                "dedup",
                "reclaim",
                "release",
                "promote",
                "door",
                "tidy",
            )
        }

    async def ensure_groups(self) -> None:
        """Create streams and group where they are missing, also after somebody emptied Redis."""
        for stream in keys.ALL_STREAMS:
            try:
                await self._client.call("XGROUP", "CREATE", stream, keys.GROUP, "0", "MKSTREAM")
            except RedisRefused as error:
                if not error.reply.startswith("BUSYGROUP"):
                    raise

    async def claim(self, free: int, *, lanes: bool = True, full_lanes: Iterable[str] = ()) -> list[Delivery]:
        """Up to `free` entries by priority, without waiting.

        Args:
            lanes: serve tasks waiting in lanes too; without, only what is new (to look past those that wait).
            full_lanes: lanes that have their share of slots already.
        """
        args: list[Word] = [keys.GROUP, self._worker_id, free, self.now_ms(), keys.LANE_PREFIX, int(lanes)]
        args += [*self._turns.quotas(free), *full_lanes]
        reply = await self._with_groups(partial(self._run, "claim", _CLAIM_KEYS, args))
        return [
            read_entry((_PARKED_BYTES if unparked else _STREAM_BYTES)[index - 1], entry, fields, 1, lane.decode())
            for index, unparked, entry, fields, lane in reply
        ]

    async def wait(self, free: int, seconds: float = MAX_BLOCK_SEC) -> list[Delivery]:
        """Block until something new arrives, at most `seconds`; used when `claim` found nothing."""
        per_stream = max(1, free // len(_STREAMS))
        words: list[Word] = ["XREADGROUP", "GROUP", keys.GROUP, self._worker_id, "COUNT", per_stream]
        words += ["BLOCK", max(1, int(seconds * 1000)), "STREAMS", *_STREAMS, *(">" for _ in _STREAMS)]
        reply = await self._with_groups(partial(self._client.call, *words))
        return [read_entry(stream, entry, fields) for stream, entries in reply or [] for entry, fields in entries]

    async def park(self, waiting: Sequence[tuple[Delivery, str]]) -> int:
        """Put claimed entries into lanes; the delivery does not count as an attempt."""
        if not waiting:
            return 0
        args: list[Word] = [keys.GROUP, keys.LANE_PREFIX]
        for one, lane in waiting:
            args += (one.stream, one.entry_id, _PRIORITIES.index(one.priority) + 1, lane, one.task_id, one.first)
            args.append(one.attempt - 1)
        return int(await self._run("park", _LANE_INDEXES, args))

    async def firsts(self, tasks: Sequence[Task]) -> list[str]:
        """Per task with a dedupKey: the id of the first task that had it, its own when it is that."""
        if not tasks:
            return []
        names = [f"{keys.DEDUP_PREFIX}{task.dedup_key}" for task in tasks]
        reply = await self._run("dedup", names, [_DEDUP_SEC, *(task.id for task in tasks)])
        return [first.decode("utf-8", "replace") for first in reply]

    async def reclaim(self, free: int, *, alone: bool = True) -> list[Delivery]:
        """Entries whose lease has run out, now ours: several, or one that was cut short twice before.

        Args:
            alone: may it be such a one? It may be what kills its worker, and should not take others with it.
        """
        out: list[Delivery] = []
        for stream in keys.ALL_STREAMS:
            count = min(RECLAIM_BATCH, free - len(out))
            if count <= 0 or any(one.is_suspect for one in out):
                break
            args: list[Word] = [keys.GROUP, self._worker_id, self._lease_ms, count, _RECLAIM_SEEN]
            args.append(int(alone and not out))
            reply = await self._with_groups(partial(self._run, "reclaim", [stream], args))
            out += [read_entry(stream.encode(), entry, fields, past + 1) for entry, fields, past in reply]
        return out

    async def release(self, deliveries: Sequence[Delivery]) -> int:
        """Give entries back at once, not after their lease; the delivery does not count as an attempt."""
        if not deliveries:
            return 0
        words: list[Word] = [keys.GROUP, self._worker_id]
        for one in deliveries:
            words += (one.stream, one.entry_id, one.deliveries - 1)
        return int(await self._run("release", [], words))

    async def put_back(self, deliveries: Sequence[Delivery]) -> None:
        """Give back what was claimed but not begun: items of the platform's lists to the head of their lists, in order
        (somebody else may be there to read those), all others as `release` does."""
        items = [
            Finished(one, [("LPUSH", one.door, one.raw)])
            for one in reversed(deliveries)
            if one.door is not None and one.raw is not None
        ]
        if items:
            await self.finish(items)
        await self.release([one for one in deliveries if one.door is None or one.raw is None])

    async def release_everything(self) -> int:
        """Give back whatever Redis still holds under our name, e.g. what arrived while a read was being cancelled."""
        left: list[Delivery] = []
        for stream in keys.ALL_STREAMS:
            pending = await self._client.call("XPENDING", stream, keys.GROUP, "-", "+", 10_000, self._worker_id)
            left += [Delivery(stream.encode(), entry, None, deliveries=count) for entry, _, _, count in pending]
        return await self.release(left)

    async def forget_consumer(self) -> None:
        """Remove our name from the group where nothing is pending under it, so that names do not pile up."""
        for stream in keys.ALL_STREAMS:
            if not await self._client.call("XPENDING", stream, keys.GROUP, "-", "+", 1, self._worker_id):
                await self._client.call("XGROUP", "DELCONSUMER", stream, keys.GROUP, self._worker_id)

    async def finish(self, finished: Sequence[Finished]) -> list[str]:
        """Acknowledge and publish. Safe to repeat when the answer was lost.

        Returns:
            per execution "ok", "lost" (another worker has finished the entry; nothing was written) or the error of
            a refused output (the task is in the dead letters, and its record and event say that it failed).
        """
        words: list[Word] = [keys.GROUP, self._dead_max, iso_ms(self.now_ms()), self._worker_id]
        words += (keys.result(""), keys.EVENTS, len(finished))
        for delivery, commands, task_id in finished:
            words += (delivery.stream, delivery.entry_id, task_id or delivery.task_id, len(commands))
            for command in commands:
                words.append(len(command))
                words += command
        answers = await self._run("finish", [keys.DEAD], words)
        return ["ok" if one == 1 else "lost" if one == 0 else one.decode("utf-8", "replace") for one in answers]

    async def mark_running(self, started: Sequence[tuple[Delivery, Task, int]]) -> None:
        """Write the record "running" of each task that is still this worker's, with its start in epoch milliseconds."""
        words: list[Word] = [keys.GROUP, self._worker_id]
        for delivery, task, at_ms in started:
            ((_, key, record, _, ttl),) = self._outputs.record(task, TaskStatus.RUNNING, started_ms=at_ms)
            words += [delivery.stream, delivery.entry_id, key, record, ttl]
        if started:
            await self._with_groups(partial(self._run, "mark_running", [], words))

    async def tidy(self) -> tuple[int, int]:
        """Forget consumers that are long gone; bound the room of the dead letters.

        Returns:
            consumers removed, dead letters dropped (the oldest).
        """
        forgotten = 0
        for stream in keys.ALL_STREAMS:
            args: list[Word] = [keys.GROUP, max(600_000, 10 * self._lease_ms), self._worker_id]
            forgotten += int(await self._run("tidy", [stream], args))
        size = await self._client.call("MEMORY", "USAGE", keys.DEAD, "SAMPLES", 20)
        if not size or size <= self._dead_max_bytes:
            return forgotten, 0
        count = await self._client.call("XLEN", keys.DEAD)
        return forgotten, int(await self._client.call("XTRIM", keys.DEAD, "MAXLEN", int(count * 0.9)))

    async def stop_beating(self) -> None:
        await self._client.call("DEL", keys.heartbeat(self._worker_id))

    async def promote(self) -> int:
        """Move delayed tasks whose time has come onto their streams."""
        args: list[Word] = [_PROMOTE_BATCH, self._dead_max, iso_ms(self.now_ms())]
        return int(await self._run("promote", [keys.DELAYED, keys.DEAD, *_STREAMS], args))

    async def take_from_lists(self, lists: Sequence[str], per_list: int, priority: TaskPriority) -> dict[str, int]:
        """Move items of the platform's lists onto our stream, atomically each. -1 for a key that is no list."""
        if not lists:
            return {}
        taken = await self._run("door", [keys.STREAMS[priority], *lists], [per_list])
        return dict(zip(lists, taken, strict=True))

    async def new_waiting(self) -> Mapping[TaskPriority, int]:
        """Entries in the streams, claimed ones included: a quick upper bound of what waits."""
        replies = await self._client.batch([("XLEN", stream) for stream in _STREAMS])
        return {
            priority: 0 if isinstance(reply, RedisRefused) else reply
            for priority, reply in zip(_PRIORITIES, replies, strict=True)
        }

    async def _run(self, script: str, names: Sequence[str | bytes], args: Sequence[Word]) -> Any:
        return await self._scripts[script](self._client, names, args)

    async def _with_groups(self, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except RedisRefused as error:
            if "NOGROUP" not in error.reply:
                raise
            await self.ensure_groups()
            return await call()
