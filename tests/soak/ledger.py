"""What was accepted during a run, as its producers know it; the judge compares with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.chaos.malformed import Bad
from tests.soak.generator import Chunk, Key


@dataclass(frozen=True, slots=True)
class Sent:
    """A task with an id of its own. `door`: xadd or rest."""

    type: str
    door: str
    at: float


@dataclass(slots=True)
class Ledger:
    """Kept by the producers' thread; read by others when that has ended."""

    tasks: dict[str, Sent] = field(default_factory=dict)
    """By task id: all but what came over lists."""
    chunks: dict[str, str] = field(default_factory=dict)
    """Brand by chunk id, of chunks that keep theirs."""
    groups: dict[str, dict[int, set[Key]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    """By brand: the texts that say the same as one original."""
    malformed: list[Bad] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    """By task or chunk id: how often it may have arrived. More than once where a reply was lost."""
    doors: Counter[str] = field(default_factory=Counter)
    """Chunks by the door they came through."""
    mentions: int = 0
    """Sent, repetitions included."""
    history: int = 0
    """Chunks of the week before the run, which are in all other figures too."""
    lost_replies: int = 0
    bad_tries: int = 0
    """Malformed items that may have arrived once more than they are counted."""

    def took(self, chunk: Chunk, door: str, *, keeps_id: bool = True) -> None:
        self.doors[door] += 1
        self.mentions += len(chunk.keys)
        if keeps_id:
            self.chunks[chunk.chunk_id] = chunk.brand
        groups = self.groups[chunk.brand]
        for key, group in zip(chunk.keys, chunk.groups, strict=True):
            groups[group].add(key)

    @property
    def accepted(self) -> int:
        """Tasks of every kind, malformed ones included."""
        return len(self.tasks) + sum(self.doors[one] for one in ("list", "single")) + len(self.malformed)
