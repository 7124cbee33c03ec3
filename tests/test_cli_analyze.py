"""`analyze` and `learn` as people use them: files in, verdicts and students out, no server."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lessons import texts

ROOT = Path(__file__).parent.parent


class Cli:
    """The command line in a directory of its own, without servers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *words: str, code: int = 0, feed: str | None = None, **environment: str) -> tuple[str, str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DATA_DIR": str(self.directory / "data")}
        done = subprocess.run(
            [sys.executable, "-m", "src.worker.cli", *words],
            cwd=self.directory,
            env=env | environment,
            input=feed,
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    def verdicts(self, file: str, *words: str) -> list[dict[str, Any]]:
        self("analyze", file, "--out", "out.jsonl", *words)
        return [json.loads(line) for line in (self.directory / "out.jsonl").read_text().splitlines()]

    def labelled(self, name: str, count: int, *, seed: int = 1, column: str = "label") -> list[str]:
        rows = texts(count, seed=seed)
        with (self.directory / name).open("w", newline="") as file:
            csv.writer(file).writerows(
                [("id", "text", column), *((at, one.text, one.label) for at, one in enumerate(rows))]
            )
        return [one.label for one in rows]


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def accuracy(wanted: list[str], verdicts: list[dict[str, Any]]) -> float:
    given = [verdict["sentiment"]["label"] for verdict in verdicts]
    return sum(one == other for one, other in zip(wanted, given, strict=True)) / len(wanted)


def test_every_row_has_a_line_in_its_order_with_its_id(cli: Cli) -> None:
    rows = [
        {"tweet_id": 12345678901234567890, "text": "I love it", "brand": "Acme"},
        {"tweet_id": "b", "text": ""},
        {"tweet_id": "c", "text": "It crashes again and again, I want a refund", "brand": "Globex"},
        {"tweet_id": "d", "text": 7},
    ]
    (cli.directory / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    out = cli.verdicts("in.jsonl")
    assert [one["id"] for one in out[:4]] == ["12345678901234567890", "b", "c", "d"]
    assert len(out) == 5
    assert ["error" in one for one in out] == [False, True, False, True, True]
    assert out[0]["sentiment"]["label"] == "positive"
    assert (out[0]["brand"], out[2]["intent"], out[2]["tier"]) == ("Acme", "BUG_REPORT", 2)
    assert out[1]["error"] == "text: is empty"


def test_a_file_without_brands_is_judged_and_no_brand_is_made_up(cli: Cli) -> None:
    (cli.directory / "in.csv").write_text("text\nnone of this works\n")
    (one,) = cli.verdicts("in.csv")
    assert one["brand"] is None
    (named,) = cli.verdicts("in.csv", "--brand", "acme")
    assert named["brand"] == "acme"


def test_verdicts_go_to_standard_output_and_nothing_else_does(cli: Cli) -> None:
    out, err = cli("analyze", "-", "--out", "-", feed='{"text": "I love it"}\n{"text": "I hate it"}\n')
    assert [json.loads(line)["sentiment"]["label"] for line in out.splitlines()] == ["positive", "negative"]
    assert "2 of 2 rows judged; students: none (cold start)" in err


def test_what_was_learned_is_used_by_the_next_analysis(cli: Cli) -> None:
    cli.labelled("train.csv", 300)
    wanted = cli.labelled("test.csv", 150, seed=2)
    cold = accuracy(wanted, cli.verdicts("test.csv", "--brand", "acme"))
    out, _ = cli("learn", "train.csv", "--task", "sentiment", "--brand", "acme")
    assert "300 different texts" in out
    assert "adopted: not worse than the cold start" in out
    assert "students/sentiment.student" in out
    verdicts = cli.verdicts("test.csv", "--brand", "acme")
    assert accuracy(wanted, verdicts) > max(0.95, cold + 0.2)
    assert any("student:v1" in reason for reason in verdicts[0]["reasons"])
    assert accuracy(wanted, cli.verdicts("test.csv", "--brand", "acme", "--no-students")) == cold


def test_a_student_can_be_kept_elsewhere_and_named(cli: Cli) -> None:
    cli.labelled("train.csv", 200)
    wanted = cli.labelled("test.csv", 80, seed=2)
    cli("learn", "train.csv", "--task", "sentiment", "--out", "mine.student")
    assert not (cli.directory / "data").exists()
    assert accuracy(wanted, cli.verdicts("test.csv", "--student", "mine.student")) > 0.9
    _, err = cli("analyze", "test.csv", "--out", "-", "--student", "other.student", code=1)
    assert "other.student: there is no such file" in err


def test_a_damaged_student_stops_the_analysis_with_its_name(cli: Cli) -> None:
    path = cli.directory / "data" / "students" / "intent.student"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x80\x04N.")
    (cli.directory / "in.csv").write_text("text\nhello\n")
    _, err = cli("analyze", "in.csv", "--out", "-", code=1)
    assert "intent.student: is not a student of this worker" in err
