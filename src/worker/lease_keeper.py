"""Renews leases and the heartbeat from a thread of its own: work that blocks the event loop must not cost its lease.

The thread has its own connection. It sees a snapshot of what is claimed; a lease that was lost is reported back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from . import keys
from .queue_commands import Command
from .queue_entries import Delivery
from .redis_client import CONNECT_TIMEOUT_SEC, Script

Held = Callable[[], Sequence[Delivery]]
Lost = Callable[[list[Delivery]], None]

_REPLY_SEC: Final = 2.0
"""Shorter than a third of most leases, so that a slow reply leaves time for another try."""
_RENEW_BATCH: Final = 500


class LeaseKeeper:
    """`held` is called in the thread and must return a copy; `lost` is called in the thread too.

    Failures to reach Redis are left to the worker's own loops to report: the next turn tries again.
    """

    def __init__(
        self,
        url: str,
        *,
        worker_id: str,
        lease_sec: float,
        heartbeat_sec: float,
        held: Held,
        lost: Lost,
        announcement: Command | None = None,
    ) -> None:
        self._url = url
        self._worker_id = worker_id
        self._lease_sec = lease_sec
        self._heartbeat_sec = heartbeat_sec
        self._held = held
        self._lost = lost
        self._announcement = announcement
        """Written before every heartbeat, where other workers must know what kind of worker beats."""
        self._renew = Script("renew")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self.failures = 0
        """Steps in a row that Redis did not take."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends within the reply time; the heartbeat is left to run out or to be removed by the worker."""
        self._stop.set()

    def join(self, seconds: float = _REPLY_SEC + 1) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        client = redis.Redis.from_url(
            self._url,
            protocol=2,
            socket_timeout=_REPLY_SEC,
            socket_connect_timeout=CONNECT_TIMEOUT_SEC,
            retry=Retry(NoBackoff(), 0),
            client_name="brand-eval-worker-leases",
        )
        beat_at = renew_at = 0.0
        try:
            while not self._stop.is_set():
                # Each for itself: a Redis without memory refuses the heartbeat, but not the leases.
                if time.monotonic() >= renew_at:
                    renew_at = self._next(self._turn, client, self._lease_sec / 3)
                if time.monotonic() >= beat_at:
                    beat_at = self._next(self._beat, client, self._heartbeat_sec)
                self._stop.wait(max(0.0, min(beat_at, renew_at) - time.monotonic()))
        finally:
            client.close()

    def _next(self, step: Callable[[redis.Redis], None], client: redis.Redis, period_sec: float) -> float:
        """Do a step and say when the next is due: soon again when it failed."""
        try:
            step(client)
        except (redis.RedisError, OSError):
            self.failures += 1
            return time.monotonic() + min(0.5, self._lease_sec / 10)
        self.failures = 0
        return time.monotonic() + period_sec

    def _beat(self, client: redis.Redis) -> None:
        # Lives over one missed beat, as the heartbeats of the platform's own workers do.
        ttl_ms = int(max(2 * self._heartbeat_sec, self._heartbeat_sec + 5) * 1000)
        if self._announcement is not None:
            client.execute_command(*self._announcement)  # type: ignore[no-untyped-call]
        client.set(keys.heartbeat(self._worker_id), "alive", px=ttl_ms)

    def _turn(self, client: redis.Redis) -> None:
        held = self._held()
        for start in range(0, len(held), _RENEW_BATCH):
            batch = held[start : start + _RENEW_BATCH]
            words = [word for one in batch for word in (one.stream, one.entry_id)]
            kept = self._renew.run_sync(client, [keys.GROUP, self._worker_id, *words])
            lost = [one for one, ours in zip(batch, kept, strict=True) if not ours]
            if lost:
                self._lost(lost)
