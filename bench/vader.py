"""Our VADER beside the stock package: differences on development texts and on fuzzed strings, speed, long texts.

Speed: the same 10,000 development texts through both, in turns, CPU time, medians of 5. Fuzzed strings: 20,000 seeded
mixtures of lexicon words, rule words, emoji and punctuation.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable

from bench._analysis_data import DATA, rows
from bench._report import Figure, Report, at_least, at_most
from src.worker.vader import Vader

FASTER = 2.5
LONG_MS = 50.0
SETS = (("sentiment_semeval17", "text"), ("sentiment_tweeteval_val", "text"), ("airline_stream", "text"))
RULES = "not never without doubt very extremely kinda sort of but least at no n't isn't GREAT Good bad kind of the bomb"
MARKS = ("!", "!!!", "?", "???", "...", ",", ":)", ":(", "<3", "😀", "😡", "💔", "é", "ALL CAPS", "'", '"')


def main(quick: bool = False) -> Report:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    report = Report("vader", quick, " ".join((__doc__ or "").split()))
    if not DATA.exists():
        report.leave_out("everything: the development data are not on this machine")
        return report
    stock, ours = SentimentIntensityAnalyzer(), Vader.load()
    texts = [row[column] for name, column in SETS for row in rows(name)]
    texts = texts[:: 10 if quick else 1]
    report.add(_differences("development_texts", stock.polarity_scores, ours, texts))
    report.add(_differences("fuzzed_strings", stock.polarity_scores, ours, fuzzed(2_000 if quick else 20_000)))
    sample = texts[:: max(1, len(texts) // 10_000)]
    ratios = []
    for _ in range(1 if quick else 5):
        theirs = _cpu(stock.polarity_scores, sample)
        mine = _cpu(Vader.load().score, sample)  # its memo is empty at first, as after a start
        ratios.append(theirs / mine)
    ratio = statistics.median(ratios)
    report.add(Figure("vader.speed", ratio, "times the stock package's", wanted=at_least(ratio, FASTER)))
    for name, text in (("5000_emoji", "😀" * 5_000), ("3000_words", "good but " * 1_500)):
        took = min(_cpu(ours.score, [text]) for _ in range(5)) * 1000
        report.add(Figure(f"vader.{name}", took, "ms", wanted=at_most(took, LONG_MS)))
    return report


def fuzzed(count: int) -> list[str]:
    rng = random.Random(7)
    words = [*RULES.split(), *list(SENTIMENT), *MARKS]
    return [
        "".join(rng.choice(words) + rng.choice((" ", " ", "", "  ")) for _ in range(rng.randint(1, 25)))
        for _ in range(count)
    ]


SENTIMENT = (
    "love hate terrible amazing happy sad angry awful lol crash broken thanks cool sick worst best win fail".split()
)


def _differences(name: str, stock: Callable[[str], dict[str, float]], ours: Vader, texts: Iterable[str]) -> Figure:
    compared = different = 0
    for text in texts:
        theirs, mine = stock(text), ours.score(text)
        compared += 1
        different += (theirs["neg"], theirs["neu"], theirs["pos"], theirs["compound"]) != (
            mine.neg,
            mine.neu,
            mine.pos,
            mine.compound,
        )
    return Figure(f"vader.differences.{name}", different, f"of {compared:,}", wanted=at_most(different, 0))


def _cpu(score: Callable[[str], object], texts: Iterable[str]) -> float:
    began = time.process_time()
    for text in texts:
        score(text)
    return time.process_time() - began
