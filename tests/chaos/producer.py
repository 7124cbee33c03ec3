"""A producer that goes on through restarts of Redis and knows what it has pushed.

When a push is sent and no reply comes, Redis may or may not have it. Two kinds of producers live with that:
- a *careful* one keeps a ledger in Redis and pushes with a script that looks into it. Redis writes all effects of a
  script into its append-only file as one transaction, so repeating the script pushes exactly once.
- a *plain* one, as everybody writes it, pushes again. Nothing is lost then, and repeating is safe because effects are
  keyed by content: a noop's record by its task id, a chunk's mentions and result by chunk id and content
  (docs/architecture.md, "who owns a mention"). What may happen more often than once is the execution.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
import redis

from .workload import BRANDS, Push, Workload

_BATCH = 20
_LEDGER = "chaos:ledger"
_CAREFULLY = """
-- KEYS: the ledger.  ARGV: name of the batch, then per item: XADD or RPUSH, key, document.
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 0 end
for at = 2, #ARGV, 3 do
  if ARGV[at] == 'XADD' then redis.call('XADD', ARGV[at + 1], '*', 'task', ARGV[at + 2])
  else redis.call('RPUSH', ARGV[at + 1], ARGV[at + 2]) end
end
return 1
"""


class Producer(threading.Thread):
    """Pushes everything at a steady rate, in small batches."""

    def __init__(self, workload: Workload, client: redis.Redis, *, seconds: float) -> None:
        super().__init__(name="producer", daemon=True)
        self._workload = workload
        self._pushes = workload.pushes
        self._client = client
        self._per_second = len(workload.pushes) / seconds
        self._given_up = threading.Event()
        self.sent = 0
        self.lost_replies = 0
        self.tries: Counter[str] = Counter()
        """By chunk id: how often it may have arrived."""

    @property
    def share(self) -> float:
        return self.sent / len(self._pushes)

    def stop(self) -> None:
        """Give up, where a test is over before all is pushed."""
        self._given_up.set()

    def run(self) -> None:
        began = time.monotonic()
        self._until_answered(lambda: self._client.sadd("brands:set", *BRANDS))
        for batch_id, count in self._workload.batches.items():
            self._until_answered(partial(self._client.set, f"batch:{batch_id}:remaining", count))
        for start in range(0, len(self._pushes), _BATCH):
            time.sleep(max(0.0, began + start / self._per_second - time.monotonic()))
            if self._given_up.is_set():
                return
            batch = [(push, _document(push)) for push in self._pushes[start : start + _BATCH]]
            self._push_carefully(start, [pair for pair in batch if pair[0].careful])
            self._push_plainly([pair for pair in batch if not pair[0].careful])
            self.sent += len(batch)

    def _push_carefully(self, start: int, batch: list[tuple[Push, bytes]]) -> None:
        words: list[str | bytes] = [str(start)]
        for push, document in batch:
            words += ("RPUSH" if push.door else "XADD", push.key, document)
            self.tries[push.chunk_id or ""] += 1
        self._until_answered(lambda: self._client.eval(_CAREFULLY, 1, _LEDGER, *words))

    def _push_plainly(self, batch: list[tuple[Push, bytes]]) -> None:
        def push_all() -> None:
            pipe = self._client.pipeline(transaction=False)
            for push, document in batch:
                self.tries[push.chunk_id or ""] += 1
                if push.door:
                    pipe.rpush(push.key, document)
                else:
                    pipe.xadd(push.key, {"task": document})
            pipe.execute()

        self._until_answered(push_all)

    def _until_answered(self, send: Callable[[], object]) -> None:
        while not self._given_up.is_set():
            try:
                send()
            except (redis.ConnectionError, redis.TimeoutError):
                self.lost_replies += 1
                time.sleep(0.05)
            else:
                return


def _document(push: Push) -> bytes:
    document = push.document
    if push.run_in is not None:
        document = {**document, "runAt": (datetime.now(UTC) + timedelta(seconds=push.run_in)).isoformat()}
    return orjson.dumps(document)
