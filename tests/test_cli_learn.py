"""`learn`: which files it reads, what it says, and that it adopts nothing worse than what was there."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pymongo
import pytest

from tests.lessons import texts
from tests.test_cli_analyze import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def write(path: Path, rows: list[tuple[object, ...]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.parametrize("column", ["label", "Sentiment", "class"])
def test_the_column_of_labels_is_found_by_its_common_names(cli: Cli, column: str) -> None:
    labels = cli.labelled("train.csv", 120, column=column)
    out, _ = cli("learn", "train.csv", "--task", "sentiment", "--json")
    report = json.loads(out)
    assert report["examples"] == 120
    assert report["counts"] == {label: labels.count(label) for label in set(labels)}
    assert report["adopted"] is True
    assert report["after"] >= report["before"]


def test_json_lines_from_standard_input_teach_too(cli: Cli) -> None:
    feed = "".join(json.dumps({"text": one.text, "label": one.label}) + "\n" for one in texts(120))
    out, _ = cli("learn", "-", "--task", "sentiment", "--json", feed=feed)
    assert json.loads(out)["examples"] == 120


def test_without_a_column_of_labels_the_problem_names_the_flag(cli: Cli) -> None:
    cli.labelled("train.csv", 10, column="colour")
    _, err = cli("learn", "train.csv", "--task", "sentiment", code=1)
    assert "--label-column names it" in err
    out, _ = cli("learn", "train.csv", "--task", "sentiment", "--label-column", "colour", "--json", code=1)
    assert "at least 60 are needed" in json.loads(out)["reason"]
    assert not (cli.directory / "data").exists()


def test_an_unknown_label_is_refused_with_its_row_and_the_allowed_names(cli: Cli) -> None:
    write(cli.directory / "train.csv", [("text", "label"), ("a b", "positive"), ("c d", "furious")])
    _, err = cli("learn", "train.csv", "--task", "sentiment", code=1)
    assert "row 2: label 'furious' is not known: allowed are negative, neutral, positive" in err


def test_labels_of_intents_are_read_with_stars_for_bare_ratings(cli: Cli) -> None:
    names = {"negative": "PD", "neutral": "FR", "positive": "RT"}
    rows = [(one.text, names[one.label], 5 if index % 2 else 1) for index, one in enumerate(texts(200))]
    write(cli.directory / "train.csv", [("review", "task", "rating"), *rows])
    out, _ = cli("learn", "train.csv", "--task", "intent", "--json")
    stars = [row[2] for row in rows if row[1] == "RT"]
    counts = json.loads(out)["counts"]
    assert (counts["PRAISE"], counts["GENERAL"]) == (stars.count(5), stars.count(1))


def test_ones_and_zeros_are_for_or_against_the_intent_that_is_named(cli: Cli) -> None:
    write(
        cli.directory / "train.csv",
        [("text", "label"), *((one.text, int(one.label == "negative")) for one in texts(150))],
    )
    out, _ = cli("learn", "train.csv", "--task", "intent", "--positive", "CHURN_RISK")
    assert "CHURN_RISK: " in out
    assert "labels 1, true and yes are read as CHURN_RISK" in out


def test_labels_of_nonsense_do_not_replace_a_good_student(cli: Cli) -> None:
    cli.labelled("good.csv", 300)
    cli("learn", "good.csv", "--task", "sentiment")
    path = cli.directory / "data" / "students" / "sentiment.student"
    before = path.read_bytes()
    # Right for the texts that are held back, turned for those that are taught: worse beyond any doubt.
    from src.worker.students.learning import is_held_back

    turn = {"negative": "positive", "neutral": "negative", "positive": "neutral"}
    bad = [(one.text, one.label if is_held_back(one.key) else turn[one.label]) for one in texts(300, seed=4)]
    random.Random(1).shuffle(bad)
    write(cli.directory / "bad.csv", [("text", "label"), *bad])
    out, _ = cli("learn", "bad.csv", "--task", "sentiment")
    assert "not adopted: worse than version 1" in out
    assert path.read_bytes() == before


def test_labels_go_to_mongodb_too_when_it_is_named(cli: Cli, mongo_uri: str) -> None:
    cli.labelled("train.csv", 120)
    out, _ = cli("learn", "train.csv", "--task", "sentiment", MONGODB_URI=mongo_uri)
    assert "MongoDB: 120 new labels" in out
    with pymongo.MongoClient[dict[str, object]](mongo_uri) as client:
        stored = client.get_default_database()["student_labels"]
        assert stored.count_documents({"task": "sentiment"}) == 120
        found = stored.find_one({})
    assert found is not None
    assert isinstance(found["at"], datetime)
    assert found["at"].replace(tzinfo=UTC) <= datetime.now(UTC)
    _, err = cli("learn", "train.csv", "--task", "sentiment", "--store", code=1)
    assert "--store needs a worker that runs here, or MONGODB_URI" in err
