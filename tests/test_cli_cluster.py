"""`cluster FILE`: a line per row in the rows' order, the clusters of the service, clear words where it cannot."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from src.worker.cli import main

ROWS = [
    ("567591480085463040", "Where is my refund?"),
    ("2", "App crashes on login"),
    ("3", "refund not received"),
    ("4", "the app crashes again"),
    ("5", "my refund is late"),
    ("6", "crashes when I open the app"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from any .env file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMBEDDINGS_PROVIDER", raising=False)


def _csv(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("id", "text")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _answers(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "cluster", "label"]
    return rows[1:]


def test_every_row_has_its_cluster_in_the_rows_order_and_a_label(tmp_path: Path) -> None:
    source, out = _csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    assert main(["cluster", str(source), "--out", str(out), "--k", "2"]) == 0
    answers = _answers(out)
    assert [row[0] for row in answers] == [row[0] for row in ROWS]
    assert [row[1] == answers[0][1] for row in answers] == [True, False] * 3
    assert "refund" in answers[0][2].lower()
    assert "crash" in answers[1][2].lower()


def test_gzip_json_lines_and_named_columns_give_the_same(tmp_path: Path) -> None:
    plain, packed, other = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv"
    source = _csv(tmp_path / "in.csv", ROWS)
    zipped = tmp_path / "in.jsonl.gz"
    lines = [json.dumps({"id": identity, "text": text}) for identity, text in ROWS]
    zipped.write_bytes(gzip.compress("\n".join(lines).encode()))
    named = _csv(tmp_path / "n.csv", ROWS, ("id", "Frage"))
    assert main(["cluster", str(source), "--out", str(plain), "--k", "2"]) == 0
    assert main(["cluster", str(zipped), "--out", str(packed), "--k", "2"]) == 0
    assert main(["cluster", str(named), "--out", str(other), "--k", "2", "--text", "Frage"]) == 0
    assert plain.read_bytes() == packed.read_bytes() == other.read_bytes()


def test_rows_that_cannot_be_read_are_told_and_stand_there_as_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    body = "".join(f'{identity},"{text}"\n' for identity, text in ROWS)
    source.write_text(f"id,text\n{body}7,  \n8,too,many\n9,&nbsp;\n", "utf-8")
    assert main(["cluster", str(source), "--out", str(out)]) == 0
    answers = _answers(out)
    assert [row[0] for row in answers] == [*(row[0] for row in ROWS), "7", "8", "9"]
    assert [row[1:] for row in answers[6:]] == [["-1", "noise"]] * 3
    said = capsys.readouterr().err
    assert "row 7: text: is empty" in said
    assert "9 rows:" in said
    assert "3 that cannot be read" in said


def test_a_file_without_any_text_is_all_noise(tmp_path: Path) -> None:
    source, out = _csv(tmp_path / "in.csv", [("1", " "), ("2", "")]), tmp_path / "out.csv"
    assert main(["cluster", str(source), "--out", str(out)]) == 0
    assert _answers(out) == [["1", "-1", "noise"], ["2", "-1", "noise"]]


def test_a_run_gives_the_same_answer_again(tmp_path: Path) -> None:
    rows = [(str(n), f"{ROWS[n % 6][1]} {n % 11}") for n in range(300)]
    source = _csv(tmp_path / "in.csv", rows)
    outs = [tmp_path / "1.csv", tmp_path / "2.csv"]
    for out in outs:
        assert main(["cluster", str(source), "--out", str(out), "--quiet"]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert len({row[1] for row in _answers(outs[0])}) > 1


def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = _csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    before = source.read_bytes()
    assert main(["cluster", str(tmp_path / "none.csv"), "--out", str(out)]) == 1
    assert main(["cluster", str(source), "--out", str(source)]) == 1
    assert main(["cluster", str(source), "--out", str(out), "--text", "body"]) == 1
    monkeypatch.setenv("EMBEDDINGS_PROVIDER", "openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["cluster", str(source), "--out", str(out)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 4
    assert "no such file" in lines[0]
    assert "is the file that is read" in lines[1]
    assert "no column 'body'" in lines[2]
    assert "needs OPENAI_API_KEY" in lines[3]
    assert source.read_bytes() == before
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("k", ["0", "-1", "two", "10001"])
def test_a_number_of_clusters_that_cannot_be_is_wrong_usage(k: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["cluster", str(_csv(tmp_path / "in.csv", ROWS)), "--out", "-", f"--k={k}"])
    assert caught.value.code == 2
