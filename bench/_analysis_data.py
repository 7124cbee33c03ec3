"""The development data of the analysis as labelled texts, cleaned as its description asks; nothing is copied."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from src.worker.models import Intent, Mention, TimeSource
from src.worker.pipeline.canonical import canonical, content_hash, unescaped
from src.worker.students.labels import RATING, label_of
from src.worker.students.student import StudentTask

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class Item:
    """A mention, its true label, and the post it comes from: items of one group belong on one side of a split."""

    mention: Mention
    label: str
    group: str
    raw: str


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sentiments(name: str) -> list[Item]:
    """A set of sentiment; the airlines in time order."""
    found = rows(name)
    if name == "airline_stream":
        found.sort(key=lambda row: row["ts_utc"])
        return [_item(row["text"], row["sentiment"], brand=row["brand"]) for row in found]
    return [_item(row["text"], row["label"]) for row in found]


def suggestions() -> list[Item]:
    """Forum sentences; neighbours of one post share a group."""
    label = {"1": Intent.FEATURE_REQUEST.value, "0": Intent.GENERAL.value}
    return [
        _item(row["text"], label[row["label"]], group=row["id"].split("_")[0]) for row in rows("intent_suggestions")
    ]


def reviews(name: str, column: str) -> list[Item]:
    """App reviews with the classes mapped to intents; a bare rating is praise from four stars on, where stars are."""
    found = []
    for row in rows(name):
        label = label_of(StudentTask.INTENT, row[column], positive=Intent.FEATURE_REQUEST)
        if label == RATING:
            good = float(row.get("rating") or 5) >= 4
            label = Intent.PRAISE.value if good else Intent.GENERAL.value
        found.append(_item(row["review"], label))
    return found


def distinct(items: Iterable[Item], without: Iterable[Item] = ()) -> list[Item]:
    """Each canonical text once, and none that is in `without`."""
    seen = {item.mention.canonical for item in without}
    return [item for item in items if not (item.mention.canonical in seen or seen.add(item.mention.canonical))]


def _item(text: str, label: str, *, brand: str = "none", group: str | None = None) -> Item:
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if len(raw) > 1 and raw[0] == raw[-1] == '"':
        raw = raw[1:-1].replace('""', '"')
    shown = unescaped(raw)
    matched = canonical(shown)
    mention = Mention(
        id="bench",
        brand=brand,
        text=shown,
        canonical=matched,
        content_hash=content_hash("bench", matched),
        source="bench",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        time_source=TimeSource.EVENT,
    )
    return Item(mention, label, group if group is not None else matched, raw)
