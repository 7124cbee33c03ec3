"""Near-duplicates in a stream of posts: MinHash LSH finds candidates, `near_features.same_post` decides. Pure.

    index = NearDuplicates(window=timedelta(hours=72))
    original = index.add("id-7", canonical_text, at)     # id of the post it repeats, None for the first of its kind

Only first posts are candidates, so that a chain of small changes does not join two posts that are not alike. rensa
computes the signatures; it is loaded by the first post.

The bands: with 12 bands of 4 rows a copy at the threshold of .7 is found with probability 1 - (1 - .7^4)^12 = .963, one
at .8 with .998, and two posts that share a tenth of their words meet with .0012 (Leskovec, Rajaraman, Ullman: Mining
of Massive Datasets, 3.4). Two further bands, the first and the last six words, find posts cut short or added to;
more bands found no more re-posts in the benchmark, and cost time and memory.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, chain, repeat
from typing import TYPE_CHECKING, Final, NamedTuple

from .near_features import CUT_MIN_WORDS, MIN_WORDS, Features, features, same_post

if TYPE_CHECKING:
    from rensa import RMinHash  # type: ignore[import-untyped]

_ROWS: Final = 4
_MINHASH_BANDS: Final = 12
BANDS: Final = _MINHASH_BANDS + 2
"""Bands of a post: those of its signature, its beginning, its end."""
_SEED: Final = 42
"""Of rensa's permutations. Replicas share bands, so it is the same everywhere and for ever."""
BUCKET_MAX: Final = 16
"""Posts of one band that are looked at, the newest. Fuller buckets are of common words; a copy meets its original in
other bands too."""
MAX_ENTRIES: Final = 200_000
"""First posts held at most, about 2.2 kB each with their texts; the oldest are forgotten."""
_BATCH: Final = 256
"""Texts whose signatures are computed at once: a call into rensa costs as much as ten texts."""


class Sketch(NamedTuple):
    """A post ready to be compared. `bands` is empty for one too short to have near-duplicates."""

    features: Features
    bands: tuple[int, ...]
    """One 64-bit number per band; equal numbers at one place make two posts candidates."""


class Post(NamedTuple):
    """One text of a stream. `at` is when it was written; None where nobody knows, then the window does not apply."""

    id: str
    canonical: str
    at: datetime | None = None
    cut: bool = False
    """The original text ends in dots."""


class _Entry(NamedTuple):
    id: str
    at: datetime | None
    sketch: Sketch


def signature_version() -> int:
    """Of rensa's algorithm: signatures of different versions cannot be compared."""
    return int(_rensa().ALGORITHM_VERSION)


def sketches(posts: Sequence[Features]) -> list[Sketch]:
    """Sketches of several posts at once. The numbers are CPython's hashes of tuples of integers: the same in every
    process of one Python version, whatever PYTHONHASHSEED says."""
    long_enough = [post for post in posts if post.distinct >= MIN_WORDS]
    if not long_enough:
        return [Sketch(post, ()) for post in posts]
    # Flat buffers: from lists of lists rensa wakes a pool of threads, which for a chunk of 30 takes ten times the work.
    numbers = array("Q", chain.from_iterable(post.row for post in long_enough))
    offsets = array("Q", accumulate((len(post.row) for post in long_enough), initial=0))
    matrix = _rensa().digest_matrix_from_flat_token_hashes(
        numbers, offsets, num_perm=_ROWS * _MINHASH_BANDS, seed=_SEED
    )
    rows = iter(matrix.to_rows())
    return [Sketch(post, _bands(post, next(rows)) if post.distinct >= MIN_WORDS else ()) for post in posts]


class NearDuplicates:
    """The first posts of a stream and what repeats them. Not for several threads at once.

    Equal canonical texts are linked whatever time lies between, near ones only within the window.
    Bounded: `max_entries` first posts and twice as many texts are held. The same stream gives the same links.
    """

    def __init__(self, *, window: timedelta | None = None, max_entries: int = MAX_ENTRIES) -> None:
        if max_entries < 1:
            raise ValueError("max_entries must be at least 1")
        self._window = window
        self._max = max_entries
        self._entries: dict[int, _Entry] = {}
        # Of all bands together: numbers of two bands are equal by chance only, and that costs one comparison.
        self._buckets: dict[int, int | list[int]] = {}
        self._ids: dict[str, str] = {}
        self._texts: deque[str] = deque()
        self._order: deque[int] = deque()
        self._serial = 0

    def __len__(self) -> int:
        """First posts held."""
        return len(self._entries)

    def add(self, identity: str, canonical_text: str, at: datetime | None = None, *, cut: bool = False) -> str | None:
        """Id of the first post that this one repeats, None when it is the first of its kind and now remembered."""
        (link,) = self.add_all([Post(identity, canonical_text, at, cut)])
        return link

    def add_all(self, posts: Iterable[Post]) -> Iterator[str | None]:
        """`add` for a stream, in its order and much faster; reads `_BATCH` posts ahead of what it has answered."""
        batch: list[Post] = []
        for post in posts:
            batch.append(post)
            if len(batch) == _BATCH:
                yield from self._add_batch(batch)
                batch = []
        yield from self._add_batch(batch)

    def _add_batch(self, posts: Sequence[Post]) -> list[str | None]:
        fresh: dict[str, Post] = {}
        for post in posts:
            if post.canonical not in self._ids:
                fresh.setdefault(post.canonical, post)
        made = sketches([features(post.canonical, cut=post.cut) for post in fresh.values()])
        sketched = dict(zip(fresh, made, strict=True))
        return [self._link(post, sketched.get(post.canonical)) for post in posts]

    def _link(self, post: Post, sketch: Sketch | None) -> str | None:
        known = self._ids.get(post.canonical)
        if known is not None:
            return known
        if sketch is None:  # known when the batch began, forgotten within it
            (sketch,) = sketches([features(post.canonical, cut=post.cut)])
        original = self._find(sketch, post.at)
        self._remember_text(post.canonical, post.id if original is None else original.id)
        if original is not None:
            return original.id
        if sketch.bands:
            self._insert(_Entry(post.id, post.at, sketch))
        return None

    def _find(self, sketch: Sketch, at: datetime | None) -> _Entry | None:
        """The oldest post that this one repeats."""
        if not sketch.bands:
            return None
        met: set[int] = set()
        hits: Iterable[int | list[int]] = filter(None, map(self._buckets.get, sketch.bands))
        for bucket in hits:
            if isinstance(bucket, int):
                met.add(bucket)
            else:
                met.update(bucket)
        for serial in sorted(met):
            entry = self._entries[serial]
            if within(self._window, entry.at, at) and same_post(entry.sketch.features, sketch.features):
                return entry
        return None

    def _insert(self, entry: _Entry) -> None:
        serial = self._serial = self._serial + 1
        self._entries[serial] = entry
        self._order.append(serial)
        bands = entry.sketch.bands
        for number, bucket in zip(bands, map(self._buckets.setdefault, bands, repeat(serial)), strict=True):
            if bucket is serial:
                continue
            if isinstance(bucket, list):
                bucket.append(serial)
                if len(bucket) > BUCKET_MAX:
                    del bucket[0]
            else:  # nearly all buckets hold one post: a number is a tenth of a list
                self._buckets[number] = [bucket, serial]
        while len(self._entries) > self._max:
            self._forget(self._order.popleft())

    def _forget(self, serial: int) -> None:
        for number in self._entries.pop(serial).sketch.bands:
            bucket = self._buckets.get(number)
            if bucket == serial or bucket == [serial]:
                del self._buckets[number]
            elif isinstance(bucket, list) and serial in bucket:
                bucket.remove(serial)

    def _remember_text(self, text: str, identity: str) -> None:
        self._ids[text] = identity
        self._texts.append(text)
        if len(self._texts) > 2 * self._max:
            del self._ids[self._texts.popleft()]


def within(window: timedelta | None, one: datetime | None, other: datetime | None) -> bool:
    """Whether two times are no further apart than the window; unknown times and an absent window forbid nothing."""
    return window is None or one is None or other is None or abs(one - other) <= window


def _bands(post: Features, row: Sequence[int]) -> tuple[int, ...]:
    numbers = [hash(tuple(row[start : start + _ROWS])) for start in range(0, _ROWS * _MINHASH_BANDS, _ROWS)]
    return (*numbers, hash(post.row[:CUT_MIN_WORDS]), hash(post.row[-CUT_MIN_WORDS:]))


def _rensa() -> type[RMinHash]:
    from rensa import RMinHash

    kind: type[RMinHash] = RMinHash
    return kind
