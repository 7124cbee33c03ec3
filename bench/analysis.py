"""Analysis: quality and speed of tiers 1 and 2, the students' learning, and the cascade, on the development data.

Sentiment: mRec = macro recall, mF1 = macro F1 over three classes; learning curves with a seeded oracle's labels (error
rate .15), measured on the mentions that follow. Intents: four parts by group, each tested by a student of the others.
CPU: one thread's seconds per mention in chunks of 30 of one brand, everything of tiers 1 and 2, best of five.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import mean
from zlib import crc32

from bench._analysis_cascade import CHUNK, CLASSES, Stream, draw, oracle
from bench._analysis_data import DATA, Item, distinct, reviews, sentiments, suggestions
from bench._report import OUT, Figure, Report, at_least, at_most
from src.worker.analyzer import Analyzer, BrandTerms
from src.worker.models import Intent
from src.worker.students.learning import macro_f1, teach
from src.worker.students.panel import UNTAUGHT, Students
from src.worker.students.school import Labelled, hold_lesson, mood
from src.worker.students.student import Student, StudentTask, from_bytes
from src.worker.vader import Vader

_SETS = ("sentiment_semeval17", "sentiment_tweeteval_val", "airline_stream")
_LABELS = (200, 500, 1_000, 2_000, 4_000)
_WANTED_AFTER = {500: 0.66, 2_000: 0.70}
_SHARES = (0.02, 0.05, 0.10, 0.20, 0.35, 0.50)
_SEEDS = (1, 2, 3)
_PARTS = 4
_LINEAR = {"suggestions": 0.60, "app_reviews": 0.56}
"""F1 (of suggestions) and macro F1 (of reviews) of TF-IDF with logistic regression, as measured before this project."""
_BUDGET_US = 250.0


def main(quick: bool = False) -> Report:
    report = Report("analysis", quick, " ".join((__doc__ or "").split()))
    if not DATA.is_dir():
        report.leave_out("everything: the development data are not there")
        return report
    vader = Vader.load()
    analyzer = Analyzer(vader)
    airline = sentiments("airline_stream")
    for name in _SETS[1:] if quick else _SETS:
        _cold(report, name, sentiments(name), analyzer, vader)
    _same_as_stock(report, airline if quick else [item for name in _SETS for item in sentiments(name)], vader)
    stream = Stream(analyzer, airline)
    seeds = _SEEDS[:1] if quick else _SEEDS
    student = _learning(report, stream, airline, seeds)
    if not quick:
        _general(report, analyzer)
    _intents(report, analyzer, quick)
    _cascade(report, stream, seeds, _SHARES[2:3] if quick else _SHARES)
    _speed(report, analyzer, airline, student)
    return report


def macro_recall(truth: Sequence[str], given: Sequence[str]) -> float:
    found = [
        sum(one == other == label for one, other in zip(truth, given, strict=True)) / truth.count(label)
        for label in dict.fromkeys(truth)
    ]
    return mean(found)


def _judged(analyzer: Analyzer, items: Sequence[Item], students: Students) -> list[tuple[str, str]]:
    """(sentiment, intent) per item."""
    found: dict[int, tuple[str, str]] = {}
    for brand in {item.mention.brand for item in items}:
        terms = BrandTerms.build("" if brand == "none" else brand)
        places = [at for at, item in enumerate(items) if item.mention.brand == brand]
        for first in range(0, len(places), CHUNK):
            part = places[first : first + CHUNK]
            verdicts = analyzer.analyse_batch([items[at].mention for at in part], terms, students)
            found |= {at: (one.sentiment.label.value, one.intent.value) for at, one in zip(part, verdicts, strict=True)}
    return [found[at] for at in range(len(items))]


def _cold(report: Report, name: str, items: Sequence[Item], analyzer: Analyzer, vader: Vader) -> None:
    truth = [item.label for item in items]
    ours = [label for label, _ in _judged(analyzer, items, UNTAUGHT)]
    stock = [mood(vader.score(item.raw).compound) for item in items]
    recall, theirs = macro_recall(truth, ours), macro_recall(truth, stock)
    report.add(
        Figure(f"analysis.cold.{name}.mRec", recall, "", {"of VADER": recall / theirs}, at_least(recall, theirs))
    )
    f1 = macro_f1(truth, ours)
    report.add(Figure(f"analysis.cold.{name}.mF1", f1, "", {"of VADER": f1 / macro_f1(truth, stock)}))


def _same_as_stock(report: Report, items: Sequence[Item], vader: Vader) -> None:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    stock = SentimentIntensityAnalyzer()
    texts = list(dict.fromkeys(item.raw for item in items))
    different = 0
    for text in texts:
        one = vader.score(text)
        wanted = stock.polarity_scores(text)
        different += (one.neg, one.neu, one.pos, one.compound) != tuple(
            wanted[key] for key in ("neg", "neu", "pos", "compound")
        )
    report.add(
        Figure("analysis.vader.differences", different, f"of {len(texts):,} texts", wanted=at_most(different, 0))
    )


def _learning(report: Report, stream: Stream, items: Sequence[Item], seeds: Sequence[int]) -> Student:
    """The curve on the airlines. Returns the last student, for measuring its cost."""
    truth = [item.label for item in items]
    last: Student | None = None
    for count in _LABELS:
        scores = []
        for seed in seeds:
            answers = oracle(items, seed)
            labelled = [
                replace(example, label=label)
                for example, label in zip(stream.examples[:count], answers[:count], strict=True)
            ]
            lesson = teach(StudentTask.SENTIMENT, labelled)
            students = Students(sentiment=lesson.student) if lesson.adopted else UNTAUGHT
            last = students.sentiment or last
            verdicts = stream.verdicts(count, len(items), students)
            scores.append(macro_f1(truth[count:], [verdict.sentiment.label.value for verdict in verdicts]))
        wanted = at_least(mean(scores), _WANTED_AFTER[count]) if count in _WANTED_AFTER else ""
        report.add(Figure(f"analysis.learned.airline.{count}.mF1", mean(scores), "", wanted=wanted))
        report.details[f"learned.{count}"] = scores
    if last is None:
        raise ValueError("no student was adopted")
    return last


def _general(report: Report, analyzer: Analyzer) -> None:
    """Labels of other tweets; texts of the test are taken out of the lesson."""
    test = sentiments("sentiment_tweeteval_val")
    lesson_items = distinct(sentiments("sentiment_semeval17"), test)[:20_000]
    taught = hold_lesson(StudentTask.SENTIMENT, _labelled(lesson_items), None)
    students = Students(sentiment=from_bytes(taught.student)) if taught.student else UNTAUGHT
    for name, items in (("tweeteval_val", test), ("airline", sentiments("airline_stream"))):
        given = [label for label, _ in _judged(analyzer, items, students)]
        truth = [item.label for item in items]
        report.add(Figure(f"analysis.learned.tweets_on_{name}.mRec", macro_recall(truth, given), ""))
        report.add(Figure(f"analysis.learned.tweets_on_{name}.mF1", macro_f1(truth, given), ""))


def _intents(report: Report, analyzer: Analyzer, quick: bool) -> None:
    sets = {
        "suggestions": suggestions(),
        "app_reviews": reviews("intent_app_reviews", "task"),
        "play_store": reviews("intent_play_store", "label"),
    }
    for name, items in sets.items():
        cold: list[float] = []
        learned: list[float] = []
        for part in range(1 if quick else _PARTS):
            test = [item for item in items if crc32(item.group.encode()) % _PARTS == part]
            lesson = [item for item in items if crc32(item.group.encode()) % _PARTS != part]
            taught = hold_lesson(StudentTask.INTENT, _labelled(distinct(lesson, test)), None)
            usable = taught.student is not None and taught.lesson.adopted
            students = Students(intent=from_bytes(taught.student)) if usable and taught.student else UNTAUGHT
            cold.append(_intent_score(name, test, [one for _, one in _judged(analyzer, test, UNTAUGHT)]))
            learned.append(_intent_score(name, test, [one for _, one in _judged(analyzer, test, students)]))
        kind = "F1" if name == "suggestions" else "mF1"
        wanted = at_least(mean(learned), 0.9 * _LINEAR[name]) if name in _LINEAR else ""
        report.add(Figure(f"analysis.intent.{name}.cold.{kind}", mean(cold), ""))
        report.add(Figure(f"analysis.intent.{name}.learned.{kind}", mean(learned), "", wanted=wanted))
    wishes = [item for item in sets["suggestions"] if item.label == Intent.FEATURE_REQUEST]
    given = [one for _, one in _judged(analyzer, wishes, UNTAUGHT)]
    recall = given.count(Intent.FEATURE_REQUEST.value) / len(wishes)
    report.add(Figure("analysis.intent.suggestions.cold.recall", recall, ""))


def _intent_score(name: str, items: Sequence[Item], given: Sequence[str]) -> float:
    truth = [item.label for item in items]
    if name == "suggestions":
        wish = Intent.FEATURE_REQUEST.value
        hits = sum(one == other == wish for one, other in zip(truth, given, strict=True))
        return 2 * hits / (truth.count(wish) + list(given).count(wish))
    known = {*truth}
    return macro_f1(truth, [one if one in known else Intent.GENERAL.value for one in given])


def _cascade(report: Report, stream: Stream, seeds: Sequence[int], shares: Sequence[float]) -> None:
    curve = []
    everything = 0.0
    for share in shares:
        runs = [stream.run(share, seed) for seed in seeds]
        chance = [stream.run(share, seed, by_chance=True) for seed in seeds]
        by_stakes, by_chance = mean(run.f1 for run in runs), mean(run.f1 for run in chance)
        everything = mean(run.all_asked_f1 for run in runs)
        curve.append((mean(run.share for run in runs), by_stakes, by_chance))
        report.details[f"cascade.{share}"] = {"by_stakes": list(map(repr, runs)), "by_chance": list(map(repr, chance))}
        ratios = {"of asking for everything": by_stakes / everything, "of choosing by chance": by_stakes / by_chance}
        report.add(Figure(f"analysis.cascade.{share:.2f}.mF1", by_stakes, "", ratios))
        if share != 0.10:
            continue
        asked = mean(run.share for run in runs)
        warm = (
            f"warm-up apart: {mean(run.warm_up_calls for run in runs):.0f} calls, {runs[0].warm_up_mentions} mentions"
        )
        report.add(Figure("analysis.cascade.calls", asked, "per mention", wanted=at_most(asked, 0.1), note=warm))
        ratio = by_stakes / everything
        report.add(Figure("analysis.cascade.kept", ratio, "of asking for everything", wanted=at_least(ratio, 0.97)))
        gain = 100 * (by_stakes - by_chance)
        report.add(Figure("analysis.cascade.over_chance", gain, "points", wanted=at_least(gain, 3)))
        recall = mean(run.actionable_recall for run in runs)
        report.add(Figure("analysis.cascade.actionable_recall", recall, "", wanted=at_least(recall, 0.80)))
        report.add(Figure("analysis.cascade.tier_3_dead.mF1", mean(run.tier_two_f1 for run in runs), ""))
    draw(OUT / "analysis_cascade.png", curve, everything)


def _speed(report: Report, analyzer: Analyzer, items: Sequence[Item], student: Student) -> None:
    brand = items[0].mention.brand
    mentions = [item.mention for item in items if item.mention.brand == brand]
    terms = BrandTerms.build(brand)
    intent = _two_students(items)
    for name, students in (
        ("cold", UNTAUGHT),
        ("sentiment_student", Students(sentiment=student)),
        ("both_students", Students(sentiment=student, intent=intent)),
    ):
        best = float("inf")
        for _ in range(5):
            began = time.thread_time()
            for first in range(0, len(mentions), CHUNK):
                analyzer.analyse_batch(mentions[first : first + CHUNK], terms, students)
            best = min(best, (time.thread_time() - began) / len(mentions) * 1e6)
        report.add(Figure(f"analysis.cpu.{name}", best, "µs per mention", wanted=at_most(best, _BUDGET_US)))


def _two_students(items: Sequence[Item]) -> Student:
    """An intent student of three classes, to pay its price: what it learns is of no matter."""
    classes = dict(zip(CLASSES, ("BUG_REPORT", "GENERAL", "PRAISE"), strict=True))
    labelled = [one._replace(label=classes[one.label]) for one in _labelled(items[:1_000])]
    taught = hold_lesson(StudentTask.INTENT, labelled, None)
    if taught.student is None:
        raise ValueError(taught.lesson.reason)
    return from_bytes(taught.student)


def _labelled(items: Sequence[Item]) -> list[Labelled]:
    return [
        Labelled(one.content_hash, one.text, "" if one.brand == "none" else one.brand, item.label)
        for item in items
        for one in (item.mention,)
    ]
