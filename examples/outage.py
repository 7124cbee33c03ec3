"""Writes examples/outage.csv, the sample of docs/tutorial.md: three calm days of a brand, then an outage.

    python examples/outage.py > examples/outage.csv

Times are fixed and in the past, and the same rows come out on every machine: the worker judges in event time, so a
replay tells the story as it would have been told while it happened. Everything in it is made up.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TextIO

HEADER = ("id", "created_at", "brand", "author", "source", "text")
BEGIN = datetime(2025, 5, 5, tzinfo=UTC)
"""A Monday."""
OUTAGE = datetime(2025, 5, 8, 13, 5, tzinfo=UTC)
"""Thursday afternoon: payments fail."""
MENDED = datetime(2025, 5, 8, 17, 0, tzinfo=UTC)
END = datetime(2025, 5, 9, 6, 0, tzinfo=UTC)
SOURCES = ("x", "x", "x", "reddit", "forum", "bluesky", "appstore")

CALM = (
    (
        "Finally moved our invoices to Zephyra.",
        "Week three with Zephyra.",
        "Trying the new Zephyra board today.",
        "Quick note on Zephyra:",
        "We switched the whole office to Zephyra.",
        "Zephyra in the morning, coffee after.",
        "Anyone else here using Zephyra?",
        "Reading the Zephyra release notes.",
    ),
    (
        "The export to spreadsheets works nicely",
        "The mobile app feels fast",
        "I like how tags are sorted now",
        "Support answered within the hour",
        "The dark theme is easy on the eyes",
        "I wonder whether there is a calendar view",
        "Setting up the second workspace took ten minutes",
        "My colleague showed me the keyboard shortcuts",
        "The search is a bit slow on large boards",
        "I could not find the option for weekly reports",
    ),
    (
        "and the team is happy.",
        "which is all I need.",
        "so I will keep it.",
        "for a small shop like ours.",
        "since the update on Friday.",
        "compared to what we had before.",
        "at least on my laptop.",
        "and that saved us an afternoon.",
        "even with forty people on it.",
        "thanks for that!",
    ),
)
ANGRY = (
    (
        "Zephyra is down again and nobody says anything.",
        "Worst day with Zephyra so far.",
        "Seriously, Zephyra?",
        "Zephyra payments are broken.",
        "I am so angry at Zephyra right now.",
        "Thanks for nothing, Zephyra.",
        "Zephyra outage, hour after hour.",
        "What a disaster, Zephyra.",
        "This Zephyra failure is unacceptable.",
        "I have lost all trust in Zephyra.",
    ),
    (
        "Every payment fails with an error",
        "Our customers were charged twice",
        "The checkout hangs and then crashes",
        "Nobody at support picks up the phone",
        "The status page lies that all is fine",
        "Orders vanish and money is missing",
        "I cannot log in to stop the damage",
        "Refunds are stuck and people shout at us",
        "The app shows a terrible mess of wrong totals",
        "Half of our bookings are lost",
    ),
    (
        "and we lose money by the minute!",
        "this is a horrible failure.",
        "I want a refund and I am cancelling.",
        "awful, simply awful.",
        "we are furious.",
        "never again.",
        "it ruined our whole sale.",
        "I will dispute the charges.",
        "such a scam.",
        "my boss is going to kill me.",
    ),
)
RELIEF = (
    (
        "Zephyra is back.",
        "Payments at Zephyra work again.",
        "Looks like Zephyra fixed it.",
        "The Zephyra outage seems to be over.",
        "First order through Zephyra since lunch.",
    ),
    (
        "The post about what went wrong was honest",
        "We got our double charges refunded",
        "All queued orders came through",
        "Support wrote to us personally",
        "The checkout is as fast as before",
    ),
    (
        "and that is good to see.",
        "thank you for the quick fix.",
        "let us hope it stays that way.",
        "which I appreciate.",
        "credit where it is due.",
    ),
)


def rows() -> Iterator[tuple[str, ...]]:
    """The story as rows, oldest first."""
    rng = Random(20250505)
    posts: list[tuple[datetime, str]] = []
    hour = BEGIN
    while hour < END:
        for texts, count in _hour(hour):
            posts += [(hour + timedelta(seconds=int(rng.random() * 3600)), _text(rng, texts)) for _ in range(count)]
        hour += timedelta(hours=1)
    posts = sorted(post for post in posts if not (post[0] < OUTAGE and post[1].startswith(ANGRY[0])))
    for number, (at, text) in enumerate(posts, 1):
        # Many people, some of whom write more than once.
        author = f"user_{int(rng.random() * 900)}"
        yield f"{number:04}", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "zephyra", author, _pick(rng, SOURCES), text


def _hour(hour: datetime) -> list[tuple[Sequence[Sequence[str]], int]]:
    """What is written in one hour: texts and how many of them. By day more than by night."""
    usual = round(5 + 3 * math.sin((hour.hour - 8) / 24 * 2 * math.pi))
    if hour + timedelta(hours=1) <= OUTAGE:
        return [(CALM, usual)]
    if hour < MENDED:
        return [(CALM, usual // 2), (ANGRY, 75)]
    since = (hour - MENDED) / timedelta(hours=1)
    return [(CALM, usual), (ANGRY, round(30 / 4**since)), (RELIEF, round(24 / 2**since))]


def _text(rng: Random, texts: Sequence[Sequence[str]]) -> str:
    return " ".join(_pick(rng, part) for part in texts)


def _pick(rng: Random, words: Sequence[str]) -> str:
    # Only `random()` is promised to give the same numbers in every version of Python.
    return words[int(rng.random() * len(words))]


def write(out: TextIO) -> None:
    """The file, with Unix line ends on every machine."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(HEADER)
    table.writerows(rows())


if __name__ == "__main__":
    write(sys.stdout)
