"""`detect crisis`: mentions → events, by the analyser and the detector of the service with their shipped parameters."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from ..analyzer import LABEL_BAND, Analyzer, BrandTerms
from ..config import load_settings
from ..crisis_detector import CrisisDetector, CrisisState, gather
from ..crisis_events import HOUR_MS, Crisis
from ..mention_files import BadRow, FileProblem, MentionFile, Row
from ..models import Chunk, Mention, Sentiment, SentimentLabel, TimeSource
from ..pipeline.normalize import normalise
from ..tasks import brand_field
from ..times import EPOCH, iso_ms
from ..vader import Vader
from ..voices import Voice, voice_of
from . import EXIT_OK, note
from .detect_files import PROGRESS_EVERY, Left, Names, results, write_csv
from .replay_progress import Progress, progress
from .time_order import TimeOrder

HEADER: Final = ("brand", "raised_at", "severity", "reasons")
_SENTIMENT: Final = "sentiment"
_OF_LABEL: Final = {SentimentLabel.NEGATIVE: -0.5, SentimentLabel.NEUTRAL: 0.0, SentimentLabel.POSITIVE: 0.5}
"""Score of a column that has labels only: the middle of each half of the scale."""


class _JudgedFile(MentionFile):
    """A file of mentions that may bring its own sentiment; a column that was named must be there."""

    def _check_columns(self, names: Sequence[str], chosen: Mapping[str, str]) -> None:
        wanted = dict(self._columns).get(_SENTIMENT)
        if wanted is not None and _SENTIMENT not in chosen:
            there = ", ".join(repr(name[:40]) for name in names[:20])
            raise FileProblem(f"{self.name}: no column {wanted!r} (--sentiment-column): the columns are {there}")
        super()._check_columns(names, chosen)


def detect_crisis(arguments: argparse.Namespace, columns: Mapping[str, str]) -> int:
    left, names = Left(), Names()
    reader = _Reader(left, names, max_chars=load_settings().mention_max_chars)
    given = dict(columns) | ({} if arguments.sentiment_column is None else {_SENTIMENT: arguments.sentiment_column})
    display = progress(Path(arguments.file).name, quiet=arguments.quiet)
    brand = brand_field(arguments.brand)
    try:
        with results(arguments.out) as out, TimeOrder() as order:
            with _JudgedFile(arguments.file, columns=given, brand=brand, source=arguments.source) as file:
                for slug, voice in reader.voices(file, display):
                    order.add(voice.at_ms, [slug, voice.row()])
            left.close(arguments.file)
            events = sorted(_events(order), key=lambda one: (one.raised_at_ms, one.brand))
            write_csv(out, HEADER, (_row(one, names) for one in events))
    finally:
        display.close()
    if order.count and not reader.named:
        note("no mention has an author (--author-column names them): crises are counted in people, none can be raised")
    if not arguments.quiet:
        note(f"{len(events):,} events of {len({event.brand for event in events}):,} brands")
    return EXIT_OK


class _Reader:
    """From rows to voices: normalised and judged by the code of the service."""

    def __init__(self, left: Left, names: Names, *, max_chars: int) -> None:
        self._left = left
        self._names = names
        self._max_chars = max_chars
        self._analyzer = Analyzer(Vader.load())
        self.named = False
        """Whether any mention had an author."""

    def voices(self, file: MentionFile, display: Progress) -> Iterator[tuple[str, Voice]]:
        left = self._left
        for row in file:
            left.read += 1
            if left.read % PROGRESS_EVERY == 0:
                display.update(left.read, left.read, file.fraction())
            found = row if isinstance(row, BadRow) else self._voice(row)
            if isinstance(found, BadRow):
                left.add(found)
            elif found is not None:
                yield found

    def _voice(self, row: Row) -> tuple[str, Voice] | BadRow | None:
        slug = self._names.slug(row.brand)
        given = row.mention.pop(_SENTIMENT, None)
        chunk = Chunk(slug, "", (row.mention,))
        normal = normalise(chunk, received_at=EPOCH, max_chars=self._max_chars)
        if normal.rejected:
            return BadRow(row.number, normal.rejected[0].reason.removeprefix("mentions[0]").removeprefix("."))
        if normal.synthetic:
            self._left.synthetic += 1
            return None
        mention = normal.mentions[0][1]
        if mention.time_source is not TimeSource.EVENT:
            return BadRow(row.number, "created_at: there is no time that can be read")
        sentiment = self._judged(mention, row.brand) if given is None else _believed(given)
        if sentiment is None:
            return BadRow(row.number, f"sentiment: {str(given)[:50]!r} is no label and no score in -1..1")
        self.named = self.named or mention.author is not None
        return slug, voice_of(mention, sentiment)

    def _judged(self, mention: Mention, brand: str) -> Sentiment:
        return self._analyzer.analyse(mention, _terms(brand)).sentiment


@lru_cache(maxsize=1_000)
def _terms(brand: str) -> BrandTerms:
    return BrandTerms.build(brand)


def _believed(value: Any) -> Sentiment | None:
    """What a column says: a label, or a score that gets its label as ours do."""
    text = str(value).strip().lower()
    if text in list(SentimentLabel):
        label = SentimentLabel(text)
        return Sentiment(label, _OF_LABEL[label])
    try:
        score = float(text)
    except ValueError:
        return None
    if not -1 <= score <= 1:
        return None
    if abs(score) <= LABEL_BAND:
        return Sentiment(SentimentLabel.NEUTRAL, score)
    return Sentiment(SentimentLabel.POSITIVE if score > 0 else SentimentLabel.NEGATIVE, score)


def _events(rows: Iterable[tuple[int, list[Any]]]) -> Iterator[Crisis]:
    """Hour by hour, so that one hour of mentions is in memory."""
    detector = CrisisDetector()
    states: dict[str, CrisisState] = {}
    for _, group in groupby(rows, key=lambda entry: entry[0] // HOUR_MS):
        said: dict[str, list[Voice]] = {}
        for _, (slug, row) in group:
            said.setdefault(slug, []).append(Voice.from_row(row))
        for slug, voices in said.items():
            yield from detector.apply(states.setdefault(slug, CrisisState(slug)), gather(voices))
    for state in states.values():
        yield from detector.flush(state)


def _row(event: Crisis, names: Names) -> tuple[str, str, str, str]:
    return names.shown(event.brand), iso_ms(event.raised_at_ms), event.severity.value, "; ".join(event.reasons)
