"""What one worker holds of the queue: waiting for a slot, running, or over and not yet acknowledged."""

from __future__ import annotations

import asyncio

from .processor import Run
from .queue_entries import Delivery

Key = tuple[bytes, bytes]
"""Stream and entry id."""


def key_of(delivery: Delivery) -> Key:
    return delivery.stream, delivery.entry_id


class Custody:
    """Shared by those who claim, execute, watch and acknowledge; all of them on the event loop."""

    def __init__(self) -> None:
        self.held: dict[Key, Delivery] = {}
        """All that Redis has pending under our name and that nobody has given up."""
        self.runs: dict[Key, Run] = {}
        """Those of them that have entered a slot or wait for one."""
        self.room = asyncio.Event()
        """Set when a slot became free or acknowledgements went through."""

    def holds(self, delivery: Delivery) -> bool:
        return key_of(delivery) in self.held

    def give_up(self, delivery: Delivery) -> None:
        self.held.pop(key_of(delivery), None)

    def snapshot(self) -> list[Delivery]:
        """A copy, safe to take from another thread: copying a dictionary's values is one step of the interpreter."""
        return list(self.held.values())
