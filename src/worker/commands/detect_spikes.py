"""`detect spikes`: counts per five minutes → alarms, by the detector of the service with its shipped parameters."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..mention_files import BadRow
from ..spike_detector import BUCKET_MS, LATENESS_MS, Spike, SpikeDetector, SpikeState, SpikeStatus
from ..tasks import brand_field
from . import EXIT_OK, note
from .count_file import CountFile, CountRow
from .detect_files import PROGRESS_EVERY, Left, Names, results, write_csv
from .replay_progress import Progress, progress
from .time_order import TimeOrder

HEADER: Final = ("brand", "timestamp", "score")
_REMEMBERED: Final = 2 * LATENESS_MS // BUCKET_MS
"""Buckets whose time is kept as the file writes it: a bucket is judged an hour after it has ended."""


@dataclass(slots=True)
class _Brand:
    state: SpikeState
    stamps: dict[int, str] = field(default_factory=dict)
    """Bucket → the time of its first row, as it is written."""
    last_ms: int | None = None
    step_ms: int | None = None
    """Smallest distance of two rows."""


@dataclass(frozen=True, slots=True)
class Alarm:
    at_ms: int
    slug: str
    stamp: str
    score: float


def detect_spikes(arguments: argparse.Namespace, columns: Mapping[str, str]) -> int:
    left, names = Left(), Names()
    brand = brand_field(arguments.brand)
    display = progress(Path(arguments.file).name, quiet=arguments.quiet)
    try:
        with results(arguments.out) as out, TimeOrder() as order:
            with CountFile(arguments.file, columns=columns, brand=brand) as file:
                for row in _good(file, left, display):
                    order.add(row.at_ms, [names.slug(row.brand), row.stamp, row.value])
            left.close(arguments.file)
            brands: dict[str, _Brand] = {}
            alarms = sorted(_alarms(order, brands), key=lambda one: (one.at_ms, one.slug))
            write_csv(out, HEADER, ((names.shown(one.slug), one.stamp, f"{one.score:.3f}") for one in alarms))
    finally:
        display.close()
    if not arguments.quiet:
        _say(brands, names, len(alarms))
    return EXIT_OK


def _good(file: CountFile, left: Left, display: Progress) -> Iterator[CountRow]:
    for row in file:
        left.read += 1
        if left.read % PROGRESS_EVERY == 0:
            display.update(left.read, left.read, file.fraction())
        if isinstance(row, BadRow):
            left.add(row)
        else:
            yield row


def _alarms(rows: Iterable[tuple[int, list[Any]]], brands: dict[str, _Brand]) -> Iterator[Alarm]:
    detector = SpikeDetector()
    for at_ms, (slug, stamp, value) in rows:
        brand = brands.setdefault(slug, _Brand(SpikeState(slug)))
        bucket = at_ms // BUCKET_MS
        if brand.last_ms is not None and at_ms > brand.last_ms:
            step = at_ms - brand.last_ms
            brand.step_ms = step if brand.step_ms is None else min(step, brand.step_ms)
        brand.last_ms = at_ms
        brand.stamps.setdefault(bucket, stamp)
        if len(brand.stamps) > _REMEMBERED:
            del brand.stamps[min(brand.stamps)]
        for spike in detector.apply(brand.state, Counter({bucket: value})):
            yield _alarm(brand, spike)
    for brand in brands.values():
        for spike in detector.flush(brand.state):
            yield _alarm(brand, spike)


def _alarm(brand: _Brand, spike: Spike) -> Alarm:
    return Alarm(spike.bucket_ms, spike.brand, brand.stamps[spike.bucket_ms // BUCKET_MS], spike.score)


def _say(brands: Mapping[str, _Brand], names: Names, alarms: int) -> None:
    detector = SpikeDetector()
    note(f"{alarms:,} spikes of {len(brands):,} brands")
    for slug, brand in sorted(brands.items()):
        if detector.status(brand.state) is SpikeStatus.INSUFFICIENT_HISTORY:
            note(f"{names.shown(slug)}: insufficient history, a day is needed before anything is judged")
        if brand.step_ms is not None and brand.step_ms > BUCKET_MS + BUCKET_MS // 2:
            minutes = brand.step_ms / 60_000
            note(f"{names.shown(slug)}: rows are {minutes:,.0f} minutes apart, counts of 5 minutes are needed")
