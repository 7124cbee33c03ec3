"""`detect spikes` and `detect crisis`: files in, events out, no server, and every row accounted for."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from src.worker.cli import main
from src.worker.commands.time_order import TimeOrder

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

ANGRY = [
    "{brand} is the worst company ever, my order is lost and nobody answers",
    "absolutely terrible service from {brand}, I am furious",
    "I hate {brand}, they cheated me again, what a disgrace",
    "{brand} ruined my day, horrible support, awful product",
]
KIND = ["I love {brand}, great service!", "{brand} made my day, thank you so much", "wonderful work, {brand}, amazing"]
PLAIN = ["picked up a parcel from {brand} today", "does {brand} open on Sundays?", "reading about {brand} on the train"]

MENTION = ("id", "created_at", "brand", "author", "text")
Post = tuple[datetime, str, str]
"""Time, author, text."""


def table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def posts(random: Random, hour: int, count: int, texts: Sequence[str], author: str | None = None) -> list[Post]:
    return [
        (
            START + hour * HOUR + timedelta(seconds=random.randrange(3_600)),
            author or f"user{random.randrange(10**9)}",
            random.choice(texts).format(brand="Acme") + f" {random.randrange(1_000)}",
        )
        for _ in range(count)
    ]


def calm(random: Random, hours: int) -> list[Post]:
    return [
        post
        for hour in range(hours)
        for texts, count in ((ANGRY, random.randrange(1, 4)), (KIND, 2), (PLAIN, 3))
        for post in posts(random, hour, count, texts)
    ]


def mentions(path: Path, rows: Iterable[Post], brand: str = "Acme") -> Path:
    numbered = [[n, t.isoformat(), brand, a, x] for n, (t, a, x) in enumerate(sorted(rows))]
    return table(path, MENTION, numbered)


def crisis(path: Path, out: Path, *flags: str) -> list[dict[str, str]]:
    assert main(["detect", "crisis", str(path), "--out", str(out), "--quiet", *flags]) == 0
    found = read(out)
    assert all(list(row) == ["brand", "raised_at", "severity", "reasons"] for row in found)
    return found


def severities(rows: Iterable[dict[str, str]]) -> list[str]:
    return [row["severity"] for row in rows if row["severity"] != "insufficient_history"]


# Crises.


def test_mass_complaints_are_one_critical_event_and_its_recovery(tmp_path: Path) -> None:
    random = Random(1)
    rows = calm(random, 5 * 24)
    for hour in range(82, 85):
        rows += posts(random, hour, 40, ANGRY)
    found = crisis(mentions(tmp_path / "m.csv", rows), tmp_path / "out.csv")
    assert [row["severity"] for row in found] == ["insufficient_history", "critical", "recovered"]
    assert {row["brand"] for row in found} == {"Acme"}
    raised = datetime.fromisoformat(found[1]["raised_at"])
    assert START + 82 * HOUR < raised <= START + 86 * HOUR
    assert "people are negative within 3 hours" in found[1]["reasons"]


def test_praise_a_single_angry_author_and_a_new_brand_are_no_crisis(tmp_path: Path) -> None:
    random = Random(2)
    praise = calm(random, 4 * 24) + posts(random, 80, 300, KIND)
    assert severities(crisis(mentions(tmp_path / "praise.csv", praise), tmp_path / "out.csv")) == []
    single = calm(random, 4 * 24) + posts(random, 80, 30, ANGRY, author="the_angry_one")
    assert severities(crisis(mentions(tmp_path / "single.csv", single), tmp_path / "out.csv")) == []
    new = posts(random, 0, 200, ANGRY)
    found = crisis(mentions(tmp_path / "new.csv", new), tmp_path / "out.csv")
    assert [row["severity"] for row in found] == ["insufficient_history"]


def test_any_order_of_rows_gives_the_same_events(tmp_path: Path) -> None:
    random = Random(3)
    rows = calm(random, 4 * 24)
    for hour in range(80, 83):
        rows += posts(random, hour, 40, ANGRY)
    numbered = [[n, t.isoformat(), "Acme", a, x] for n, (t, a, x) in enumerate(sorted(rows))]
    expected = crisis(table(tmp_path / "sorted.csv", MENTION, numbered), tmp_path / "out.csv")
    assert "critical" in severities(expected)
    assert crisis(table(tmp_path / "newest.csv", MENTION, numbered[::-1]), tmp_path / "out.csv") == expected
    random.shuffle(numbered)
    assert crisis(table(tmp_path / "mixed.csv.gz", MENTION, numbered), tmp_path / "out.csv") == expected


def test_columns_are_named_by_flags_and_a_sentiment_column_is_believed_when_asked(tmp_path: Path) -> None:
    random = Random(4)
    rows = [(post, "neutral") for post in calm(random, 4 * 24)]
    rows += [(post, "negative") for hour in range(80, 83) for post in posts(random, hour, 40, PLAIN)]
    header = ("when", "who", "said", "mood")
    path = table(tmp_path / "m.csv", header, ([t.isoformat(), a, x, mood] for (t, a, x), mood in rows))
    flags = ["--time-column", "when", "--author-column", "who", "--text-column", "said", "--brand", "Acme"]
    assert severities(crisis(path, tmp_path / "out.csv", *flags)) == []
    believed = crisis(path, tmp_path / "out.csv", *flags, "--sentiment-column", "mood")
    assert severities(believed) == ["critical", "recovered"]


def test_bad_rows_are_named_and_counted_and_the_rest_is_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [[n, (START + n * HOUR).isoformat(), "Acme", "jo", "fine"] for n in range(30)]
    bad = [
        [90, "", "Acme", "jo", "no time"],
        [91, START.isoformat(), "", "jo", "no brand"],
        [92, "x", "Acme", "jo", "?"],
    ]
    path = table(tmp_path / "m.csv", ("id", "created_at", "brand", "author", "text"), good + bad)
    assert severities(crisis(path, tmp_path / "out.csv")) == []
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "row 31: created_at: there is no time that can be read",
        "row 32: brand: is missing (--brand or --brand-column names it)",
        "row 33: created_at: there is no time that can be read",
        "3 of 33 rows were left out",
    ]


def test_mentions_without_authors_are_said_to_be_no_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(5)
    rows = [[t.isoformat(), "Acme", x] for t, _, x in calm(random, 4 * 24) + posts(random, 80, 200, ANGRY)]
    path = table(tmp_path / "m.csv", ("created_at", "brand", "text"), rows)
    assert severities(crisis(path, tmp_path / "out.csv")) == []
    assert "no mention has an author" in capsys.readouterr().err


# Spikes.


def counts(random: Random, days: float, brand: str, mean: int = 20, burst: int | None = None) -> list[list[object]]:
    rows: list[list[object]] = []
    for bucket in range(int(days * 288)):
        at = START + timedelta(minutes=5 * bucket, seconds=113)
        value = max(0, round(random.gauss(mean, mean**0.5))) + (20 * mean if bucket == burst else 0)
        rows.append([brand, at.strftime("%Y-%m-%d %H:%M:%S"), value])
    return rows


def spikes(path: Path, out: Path, *flags: str) -> list[dict[str, str]]:
    assert main(["detect", "spikes", str(path), "--out", str(out), "--quiet", *flags]) == 0
    found = read(out)
    assert all(list(row) == ["brand", "timestamp", "score"] for row in found)
    return found


def test_a_burst_is_one_alarm_with_the_time_of_its_row(tmp_path: Path) -> None:
    random = Random(6)
    rows = counts(random, 4, "KO", burst=900) + counts(random, 4, "UPS")
    expected = spikes(table(tmp_path / "v.csv", ("brand", "timestamp", "value"), rows), tmp_path / "out.csv")
    assert [(row["brand"], row["timestamp"]) for row in expected] == [("KO", rows[900][1])]
    assert float(expected[0]["score"]) >= 7
    for order in (rows[::-1], random.sample(rows, len(rows))):
        path = table(tmp_path / "other.csv.gz", ("brand", "timestamp", "value"), order)
        assert spikes(path, tmp_path / "out.csv") == expected


def test_rows_of_zero_are_no_reason_to_forget_the_time_of_a_spike(tmp_path: Path) -> None:
    rows = counts(Random(7), 2, "KO", burst=575)
    last = START + timedelta(minutes=5 * len(rows))
    rows += [["KO", (last + timedelta(minutes=5 * step)).isoformat(), 0] for step in range(100)]
    found = spikes(table(tmp_path / "v.csv", ("brand", "timestamp", "value"), rows), tmp_path / "out.csv")
    assert [row["timestamp"] for row in found] == [rows[575][1]]


def test_columns_of_counts_are_found_or_named_and_bad_rows_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row[1:] for row in counts(Random(8), 3, "KO", burst=600)]
    rows += [["no time", 3], ["2026-03-02 00:00:00", "many"], ["2026-03-02 00:00:00", -1], ["2026-03-02", 1.5]]
    path = table(tmp_path / "v.csv", ("Moment", "Tweets"), rows)
    flags = ["--time-column", "moment", "--value-column", "tweets", "--brand", "KO"]
    assert len(spikes(path, tmp_path / "out.csv", *flags)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "4 of 868 rows were left out"
    assert main(["detect", "spikes", str(path), "--out", str(tmp_path / "out.csv"), *flags[2:]]) == 1
    assert (
        "no column of a time found: the columns are 'Moment', 'Tweets'; --time-column names it"
        in capsys.readouterr().err
    )


def test_counts_of_other_steps_and_brands_just_begun_are_said_to_be_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hourly = [["KO", (START + n * HOUR).isoformat(), 50] for n in range(100)]
    hourly += [["UPS", (START + timedelta(minutes=5 * n)).isoformat(), 50] for n in range(20)]
    path = table(tmp_path / "v.csv", ("brand", "timestamp", "value"), hourly)
    assert main(["detect", "spikes", str(path), "--out", str(tmp_path / "out.csv")]) == 0
    said = capsys.readouterr().err
    assert "KO: rows are 60 minutes apart, counts of 5 minutes are needed" in said
    assert "UPS: insufficient history" in said


# Files.


@pytest.mark.parametrize("kind", ["spikes", "crisis"])
def test_what_cannot_be_used_is_one_line_and_leaves_the_old_results(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    header = ("brand", "timestamp", "value", "text")
    empty, damaged = tmp_path / "empty.csv", tmp_path / "damaged.csv.gz"
    empty.write_bytes(b"")
    damaged.write_bytes(gzip.compress(b"brand,timestamp,value,text\nKO,2026-01-01,1,x\n" * 500)[:40])
    useless = table(tmp_path / "useless.csv", header, [["KO", "never", "x", ""]] * 3)
    for path in (tmp_path / "missing.csv", tmp_path, empty, damaged, useless):
        assert main(["detect", kind, str(path), "--out", str(out), "--quiet"]) == 1, path
        assert "Traceback" not in (said := capsys.readouterr().err)
        assert str(path) in said
    assert main(["detect", kind, str(useless), "--out", str(tmp_path / "nowhere" / "out.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_it_runs_as_a_process_without_any_server_and_writes_to_standard_output(tmp_path: Path) -> None:
    rows = counts(Random(9), 3, "KO", burst=600)
    path = table(tmp_path / "v.csv", ("brand", "timestamp", "value"), rows)
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    command = [sys.executable, "-m", "src.worker.cli", "detect", "spikes", "-", "--out", "-"]
    done = subprocess.run(
        command, input=path.read_bytes(), capture_output=True, cwd=ROOT, env=environment, timeout=30, check=True
    )
    assert [row["timestamp"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))] == [rows[600][1]]
    assert done.stderr.decode() == "1 spikes of 1 brands\n"


def test_rows_beyond_memory_are_sorted_on_disk_and_equal_times_keep_their_order() -> None:
    random = Random(10)
    rows = [(random.randrange(50), [number, "x"]) for number in range(1_000)]
    with TimeOrder(in_memory=64) as order:
        for at, row in rows:
            order.add(at, row)
        assert list(order) == sorted(rows, key=lambda entry: entry[0])
        assert order.count == 1_000


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
def test_a_real_week_of_two_airlines_raises_nothing_but_its_bad_day(tmp_path: Path) -> None:
    found = crisis(DATA / "airline_stream.csv.gz", tmp_path / "out.csv")
    assert "critical" not in severities(found)
    days = {row["raised_at"][:10] for row in found if row["severity"] in ("watch", "warning")}
    assert days <= {"2015-02-22"}
