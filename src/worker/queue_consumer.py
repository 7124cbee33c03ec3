"""The queue on Redis Streams: claim, acknowledge with outputs, retry, take over, dead letters.

At least once in, exactly once out: an entry stays pending until the same script that acknowledges it writes its
outputs (`lua/finish.lua`). A crash at any instruction repeats work, never loses a task, never publishes twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson

from . import keys
from .models import Task, TaskPriority, TaskStatus
from .queue_commands import Command, Word
from .queue_entries import Delivery, Depth, Finished
from .queue_outputs import QueueOutputs, delayed_member
from .redis_client import MAX_BLOCK_SEC, RedisClient, RedisRefused, Script
from .times import iso

_STREAMS: Final = [keys.STREAMS[priority] for priority in TaskPriority]
_STREAM_BYTES: Final = [name.encode() for name in _STREAMS]
_WEIGHTS: Final = {TaskPriority.HIGH: 6, TaskPriority.NORMAL: 3, TaskPriority.LOW: 1}
"""Shares of the slots while all have work; critical goes before everything, low keeps one in ten."""
_RECLAIM_BATCH: Final = 25
"""Entries taken over per stream and turn: small, so that several workers share what a dead one left."""
_PROMOTE_BATCH: Final = 200


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
        return [free if priority is TaskPriority.CRITICAL else dealt[priority] for priority in TaskPriority]


class TaskQueue:
    """One consumer of the group. Methods raise `QueueUnavailable` when Redis cannot serve them."""

    def __init__(
        self,
        client: RedisClient,
        *,
        worker_id: str,
        clock: Callable[[], datetime],
        lease_sec: float,
        dead_letters_max: int,
        result_ttl_sec: int,
        outputs: QueueOutputs,
    ) -> None:
        self._client = client
        self._worker_id = worker_id
        self._clock = clock
        self._lease_ms = int(lease_sec * 1000)
        self._dead_max = dead_letters_max
        self._result_ttl = result_ttl_sec
        self._outputs = outputs
        self._turns = WeightedTurns()
        self._claim = Script("claim")
        self._finish = Script("finish")
        self._reclaim = Script("reclaim")
        self._renew = Script("renew")
        self._release = Script("release")
        self._promote = Script("promote")
        self._door = Script("door")
        self._enqueue = Script("enqueue")

    # -- consuming ---------------------------------------------------------------------------------------------

    async def ensure_groups(self) -> None:
        """Create streams and group where they are missing, also after somebody emptied Redis."""
        for stream in _STREAMS:
            try:
                await self._client.call("XGROUP", "CREATE", stream, keys.GROUP, "0", "MKSTREAM")
            except RedisRefused as error:
                if not error.reply.startswith("BUSYGROUP"):
                    raise

    async def claim(self, free: int) -> list[Delivery]:
        """Up to `free` new entries by priority, without waiting."""
        quotas = self._turns.quotas(free)
        args: list[Word] = [keys.GROUP, self._worker_id, free, *quotas]
        reply = await self._with_groups(partial(self._claim, self._client, _STREAMS, args))
        return [Delivery(_STREAM_BYTES[index - 1], entry, _pairs(fields)) for index, entry, fields in reply]

    async def wait(self, free: int, seconds: float = MAX_BLOCK_SEC) -> list[Delivery]:
        """Block until something arrives, at most `seconds`; used when `claim` found nothing."""
        per_stream = max(1, free // len(_STREAMS))
        words: list[Word] = ["XREADGROUP", "GROUP", keys.GROUP, self._worker_id, "COUNT", per_stream]
        words += ["BLOCK", max(1, int(seconds * 1000)), "STREAMS", *_STREAMS, *(">" for _ in _STREAMS)]
        reply = await self._with_groups(partial(self._client.call, *words))
        return [
            Delivery(stream, entry, _pairs(fields))
            for stream, entries in _by_stream(reply)
            for entry, fields in entries
        ]

    async def reclaim(self, free: int) -> list[Delivery]:
        """Entries whose lease has run out, now ours."""
        out: list[Delivery] = []
        for name, stream in zip(_STREAMS, _STREAM_BYTES, strict=True):
            count = min(_RECLAIM_BATCH, free - len(out))
            if count <= 0:
                break
            args: list[Word] = [keys.GROUP, self._worker_id, self._lease_ms, count]
            reply = await self._with_groups(partial(self._reclaim, self._client, [name], args))
            out += [Delivery(stream, entry, _pairs(fields), past + 1) for entry, fields, past in reply]
        return out

    async def renew(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Prolong leases; returns those that are no longer ours."""
        if not deliveries:
            return []
        words = [word for one in deliveries for word in (one.stream, one.entry_id)]
        kept = await self._renew(self._client, [], [keys.GROUP, self._worker_id, *words])
        return [one for one, ours in zip(deliveries, kept, strict=True) if not ours]

    async def release(self, deliveries: Sequence[Delivery]) -> int:
        """Give entries back at once, not after their lease; the delivery does not count as an attempt."""
        if not deliveries:
            return 0
        words = [word for one in deliveries for word in (one.stream, one.entry_id, one.deliveries - 1)]
        return int(await self._release(self._client, [], [keys.GROUP, self._worker_id, *words]))

    async def release_everything(self) -> int:
        """Give back whatever Redis still holds under our name, e.g. what arrived while a read was being cancelled."""
        left: list[Delivery] = []
        for stream in _STREAM_BYTES:
            pending = await self._client.call("XPENDING", stream, keys.GROUP, "-", "+", 1000, self._worker_id)
            left += [Delivery(stream, entry, {}, count) for entry, _, _, count in pending]
        return await self.release(left)

    async def forget_consumer(self) -> None:
        """Remove our name from the group when nothing is pending under it, so that names do not pile up."""
        for stream in _STREAM_BYTES:
            pending = await self._client.call("XPENDING", stream, keys.GROUP, "-", "+", 1, self._worker_id)
            if not pending:
                await self._client.call("XGROUP", "DELCONSUMER", stream, keys.GROUP, self._worker_id)

    async def finish(self, finished: Sequence[Finished]) -> list[str]:
        """Acknowledge and publish. Safe to repeat when the answer was lost.

        Returns:
            per execution "ok", "lost" (another worker has finished the entry; nothing was written) or the error of
            a refused output (the task is in the dead letters).
        """
        words: list[Word] = [keys.GROUP, self._dead_max, iso(self._clock()), self._worker_id, len(finished)]
        for one in finished:
            words += (one.delivery.stream, one.delivery.entry_id, len(one.commands))
            for command in one.commands:
                words.append(len(command))
                words += command
        answers = await self._finish(self._client, [keys.DEAD], words)
        return [answer.decode("utf-8", "replace") for answer in answers]

    async def mark_running(self, tasks: Sequence[Task]) -> None:
        """Write the record "running" for each."""
        if not tasks:
            return
        now = self._clock()
        commands = [c for task in tasks for c in self._outputs.record(task, TaskStatus.RUNNING, started_at=now)]
        _raise_refused(await self._client.batch(commands))

    async def promote(self) -> int:
        """Move delayed tasks whose time has come onto their streams."""
        args: list[Word] = [_PROMOTE_BATCH, self._dead_max, iso(self._clock())]
        return int(await self._promote(self._client, [keys.DELAYED, keys.DEAD, *_STREAMS], args))

    async def take_from_lists(self, lists: Sequence[str], per_list: int) -> dict[str, int]:
        """Move items of the platform's lists onto our stream, atomically each. -1 for a key that is no list."""
        if not lists:
            return {}
        stream = keys.STREAMS[TaskPriority.NORMAL]
        taken = await self._door(self._client, [stream, *lists], [per_list])
        return dict(zip(lists, taken, strict=True))

    async def _with_groups(self, call: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await call()
        except RedisRefused as error:
            if "NOGROUP" not in error.reply:
                raise
            await self.ensure_groups()
            return await call()

    # -- producing ---------------------------------------------------------------------------------------------

    async def enqueue(self, task: Mapping[str, Any], *, task_id: str, run_at: datetime | None = None) -> bytes | None:
        """Add a checked task. Returns the record of an earlier task of the same id, None when it was accepted."""
        priority = TaskPriority(task.get("priority") or TaskPriority.NORMAL)
        document = orjson.dumps({**task, "id": task_id})
        now = self._clock()
        record = {
            "id": task_id, "type": task["type"], "status": TaskStatus.QUEUED, "attempts": 0, "queuedAt": iso(now)
        }  # fmt: skip
        later = run_at is not None and run_at > now
        member = delayed_member(keys.STREAMS[priority], [b"task", document])
        known = await self._enqueue(
            self._client,
            [keys.result(task_id), keys.STREAMS[priority], keys.DELAYED],
            [
                orjson.dumps(record),
                self._result_ttl,
                document,
                f"{run_at.timestamp():.3f}" if later and run_at else "",
                member,
            ],
        )
        return bytes(known) if known else None

    # -- looking -----------------------------------------------------------------------------------------------

    async def depth(self) -> Depth:
        commands: list[Command] = []
        for stream in _STREAMS:
            commands += [("XLEN", stream), ("XPENDING", stream, keys.GROUP)]
        replies = await self._client.batch([*commands, ("ZCARD", keys.DELAYED), ("XLEN", keys.DEAD)])
        lengths = [_whole(reply) for reply in replies[0:-2:2]]
        pending = [_pending_total(reply) for reply in replies[1:-2:2]]
        waiting = {
            priority: max(0, length - busy)
            for priority, length, busy in zip(TaskPriority, lengths, pending, strict=True)
        }
        return Depth(waiting, sum(pending), _whole(replies[-2]), _whole(replies[-1]))

    async def read_record(self, task_id: str) -> dict[str, Any] | None:
        raw = await self._client.call("GET", keys.result(task_id))
        return orjson.loads(raw) if raw else None

    async def beat(self, ttl_sec: float) -> None:
        await self._client.call("SET", keys.heartbeat(self._worker_id), "alive", "PX", int(ttl_sec * 1000))

    async def stop_beating(self) -> None:
        await self._client.call("DEL", keys.heartbeat(self._worker_id))


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _by_stream(reply: Any) -> list[tuple[bytes, list[tuple[bytes, list[bytes]]]]]:
    return list(reply) if reply else []


def _whole(reply: Any) -> int:
    _raise_refused([reply])
    return int(reply)


def _raise_refused(replies: Sequence[Any]) -> None:
    for reply in replies:
        if isinstance(reply, RedisRefused):
            raise reply


def _pending_total(reply: Any) -> int:
    if isinstance(reply, RedisRefused):  # no group yet: nothing was ever claimed
        return 0
    return int(reply[0])
