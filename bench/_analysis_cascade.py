"""The cascade on the airline stream in time order, a seeded oracle standing in for tier 3."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench._analysis_data import Item
from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.cascade import WARM_UP_LABELS, Cascade
from src.worker.models import Verdict
from src.worker.services.students import LESSON_EVERY
from src.worker.students.learning import Example, macro_f1, teach
from src.worker.students.panel import Students
from src.worker.students.school import Labelled, examples
from src.worker.students.student import StudentTask

CHUNK = 30
ERROR_RATE = 0.15
CLASSES = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class Run:
    """Figures of the mentions after the warm-up; macro F1 and recall in 0..1. `actionable`: the negative ones."""

    share: float
    f1: float
    all_asked_f1: float
    tier_two_f1: float
    actionable_recall: float
    warm_up_mentions: int
    warm_up_calls: int
    versions: int


def oracle(items: Sequence[Item], seed: int, error_rate: float = ERROR_RATE) -> list[str]:
    """The true labels with a share of errors, evenly over the other classes."""
    rng = random.Random(seed)
    return [
        item.label if rng.random() >= error_rate else rng.choice([one for one in CLASSES if one != item.label])
        for item in items
    ]


class Stream:
    """The stream with what does not change between runs computed once."""

    def __init__(self, analyzer: Analyzer, items: Sequence[Item]) -> None:
        self._analyzer = analyzer
        self._items = items
        self._terms = {item.mention.brand: BrandTerms.build(item.mention.brand) for item in items}
        texts = [Labelled(item.mention.content_hash, item.mention.text, item.mention.brand, "") for item in items]
        self.examples: list[Example] = list(examples(StudentTask.SENTIMENT, texts))

    def verdicts(self, first: int, last: int, students: Students) -> list[Verdict]:
        """Verdicts of `items[first:last]`, brand by brand as in chunks."""
        found: dict[int, Verdict] = {}
        for brand, terms in self._terms.items():
            places = [at for at in range(first, last) if self._items[at].mention.brand == brand]
            mentions = [self._items[at].mention for at in places]
            found |= zip(places, self._analyzer.analyse_batch(mentions, terms, students), strict=True)
        return [found[at] for at in range(first, last)]

    def run(self, share: float, seed: int, *, by_chance: bool = False) -> Run:
        """One pass: choose, ask, learn from the answers every LESSON_EVERY labels, go on with the better student."""
        items, answers = self._items, oracle(self._items, seed)
        rng, cascade = random.Random(seed + 1), Cascade(share)
        students, labels, due = Students(), list[Example](), WARM_UP_LABELS
        given: list[str] = []
        alone: list[str] = []
        began: int | None = None
        for first in range(0, len(items), CHUNK):
            last = min(first + CHUNK, len(items))
            verdicts = self.verdicts(first, last, students)
            warming = len(labels) < WARM_UP_LABELS
            if not warming and began is None:
                began = first
            mentions = [item.mention for item in items[first:last]]
            chosen = {one.index for one in cascade.choose(mentions, verdicts, warming_up=warming)}
            if by_chance and not warming:
                chosen = {at for at in range(last - first) if rng.random() < share}
            alone += [verdict.sentiment.label.value for verdict in verdicts]
            given += [answers[first + at] if at in chosen else alone[first + at] for at in range(last - first)]
            labels += [replace(self.examples[first + at], label=answers[first + at]) for at in sorted(chosen)]
            if len(labels) >= due:
                lesson = teach(StudentTask.SENTIMENT, labels, students.sentiment)
                due = len(labels) + LESSON_EVERY
                if lesson.adopted:
                    students = Students(sentiment=lesson.student)
        if began is None:
            raise ValueError("the stream ended in its warm-up")
        return self._figures(began, given, alone, answers, len(labels), cascade, students)

    def _figures(
        self,
        began: int,
        given: list[str],
        alone: list[str],
        answers: list[str],
        calls: int,
        cascade: Cascade,
        students: Students,
    ) -> Run:
        truth = [item.label for item in self._items[began:]]
        negatives = [at for at, label in enumerate(truth) if label == "negative"]
        found = given[began:]
        warm = cascade.tally.warm_up_chosen
        return Run(
            share=(calls - warm) / len(truth),
            f1=macro_f1(truth, found),
            all_asked_f1=macro_f1(truth, answers[began:]),
            tier_two_f1=macro_f1(truth, alone[began:]),
            actionable_recall=sum(found[at] == "negative" for at in negatives) / len(negatives),
            warm_up_mentions=began,
            warm_up_calls=warm,
            versions=students.sentiment.origin.version if students.sentiment else 0,
        )


def draw(path: Path, curve: Sequence[tuple[float, float, float]], all_asked: float) -> None:
    """The curve as a PNG: (share, macro F1 by stakes, macro F1 by chance) per point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    shares = [100 * share for share, _, _ in curve]
    axes.plot(shares, [by_stakes for _, by_stakes, _ in curve], marker="o", label="chosen by doubt and value")
    axes.plot(shares, [by_chance for _, _, by_chance in curve], marker="s", label="chosen by chance")
    axes.axhline(all_asked, linestyle="--", color="grey", label="tier 3 asked for everything")
    axes.axhline(0.97 * all_asked, linestyle=":", color="grey", label="97 % of it")
    axes.set(xlabel="mentions that reach tier 3, %", ylabel="macro F1", title="Airline stream after the warm-up")
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
