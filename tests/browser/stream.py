"""Ten days of mentions of an invented brand with an outage at their end: the same whenever it is made."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

BRAND = "acme"
BEGIN = datetime(2025, 3, 3, tzinfo=UTC)
DAYS = 10
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"> acme <script>document.title='owned'</script> is fine, order 99"
)
HOSTILE_AUTHOR = "<b onmouseover=\"document.title='owned'\">mallory</b>"

_CALM = (
    ("x", "The {what} in acme {n} is gorgeous, best update in months"),
    ("x", "acme {n}: the {what} works well for our team of {team}"),
    ("reddit", "How do I find the {what} in acme {n}? Asking for a colleague"),
    ("reddit", "Wrote down my notes on the {what} of acme, part {n}"),
    ("news", "acme presents a new {what}, number {n} this year"),
    ("x", "acme support answered my question about the {what} in {team} minutes, ticket {n}"),
    ("x", "The {what} of acme is slow today, build {n}"),
)
_LEADS = (
    "We are a team of {team} and want to move from spreadsheets to acme. Who do I talk to about pricing for plan {n}?",
    "Looking for an alternative to our old tool, is acme worth buying for {team} seats? Quote {n} please",
)
_OUTAGE = (
    "acme is down again, I lost {n} orders and support does not answer. This is unacceptable",
    "Terrible outage at acme, the {what} is broken for {team} hours. I am furious, case {n}",
    "acme leaked my data? The {what} shows records of strangers, worst company ever, {n}",
    "I hate this: acme charged me {n} dollars twice and the {what} crashes all the time",
)
_WHAT = ("dashboard", "export", "mobile app", "billing page", "search", "calendar", "login", "report builder")


def rows() -> list[dict[str, str]]:
    """In the order of time."""
    rng = Random(20250303)
    out: list[dict[str, str]] = []

    def add(at: datetime, source: str, author: str, text: str) -> None:
        n = len(out)
        out.append(
            {
                "id": f"m{n:05d}",
                "created_at": at.isoformat().replace("+00:00", "Z"),
                "brand": BRAND,
                "author": author,
                "source": source,
                "text": text.format(what=rng.choice(_WHAT), n=1000 + n, team=rng.randrange(3, 60)),
                "url": f"https://social.example/posts/{n}",
            }
        )

    for hour in range(24 * DAYS):
        at = BEGIN + timedelta(hours=hour)
        for _ in range(rng.randrange(1, 5) + (2 if 8 <= hour % 24 <= 20 else 0)):
            source, text = rng.choice(_CALM)
            add(at + timedelta(seconds=rng.randrange(3600)), source, f"user_{rng.randrange(400)}", text)
        if hour % 17 == 5:
            add(at + timedelta(minutes=30), "reddit", f"buyer_{hour}", rng.choice(_LEADS))
    outage = BEGIN + timedelta(days=DAYS)
    for n in range(240):
        add(outage + timedelta(seconds=40 * n), "x", f"angry_{n}", rng.choice(_OUTAGE))
    end = outage + timedelta(seconds=40 * 240)
    out.append(
        {
            "id": "hostile",
            "created_at": end.isoformat().replace("+00:00", "Z"),
            "brand": BRAND,
            "author": HOSTILE_AUTHOR,
            "source": "x",
            "text": HOSTILE,
            "url": "javascript:document.title='owned'",
        }
    )
    return sorted(out, key=lambda row: row["created_at"])


def write(path: Path) -> int:
    """As a CSV for `cli replay`; returns the number of rows."""
    found = rows()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(found)
    return len(found)
