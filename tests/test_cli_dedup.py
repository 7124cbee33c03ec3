"""`dedup FILE`: a line per row in the rows' order, the links of the service, whatever the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pytest

from bench._reposts import DATA, make
from bench.dedup import score
from src.worker.cli import main
from src.worker.commands import dedup
from src.worker.commands.dedup import Deduplication, Found
from src.worker.mention_files import Row
from tests.helpers import least_seconds

POST = "The new Acme app logs me out every time I try to pay with my card"
ROWS = [
    ("567591480085463040", POST),
    ("2", "Acme is fine"),
    ("3", f"RT @jo: {POST}"),
    ("4", f"{POST} #fail http://t.co/1"),
    ("5", "acme is FINE!"),
    ("6", f"{POST} in 2 shops"),
    ("7", "Acme flight 12 to Denver is late again today"),
    ("8", "Acme flight 13 to Denver is late again today"),
]
LINKS = [None, None, "567591480085463040", "567591480085463040", "2", None, None, None]


def _csv(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = ("id", "text")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _read(path: Path) -> list[tuple[str, str | None]]:
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["id", "duplicate_of"]
    return [(name, link or None) for name, link in lines[1:]]


def _run(path: Path, *words: str) -> list[tuple[str, str | None]]:
    out = path.with_name("out.csv")
    assert main(["dedup", str(path), "--out", str(out), "--quiet", *words]) == 0
    assert [found.name for found in path.parent.glob(".*")] == []
    return _read(out)


def test_every_row_names_the_first_of_its_kind_in_the_files_order(tmp_path: Path) -> None:
    rows = _run(_csv(tmp_path / "posts.csv", ROWS))
    assert rows == [(name, link) for (name, _), link in zip(ROWS, LINKS, strict=True)]


def test_json_lines_gzip_and_other_column_names_give_the_same(tmp_path: Path) -> None:
    plain = _run(_csv(tmp_path / "posts.csv", ROWS))
    path = tmp_path / "posts.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps({"tweet_id": i, "body": t}) for i, t in ROWS).encode()))
    assert _run(path) == plain
    named = _csv(tmp_path / "named.csv", ROWS, ("nr", "words"))
    assert _run(named, "--text-column", "words", "--id-column", "nr") == plain


def test_rows_without_an_id_are_known_by_their_number(tmp_path: Path) -> None:
    path = _csv(tmp_path / "posts.csv", [(text,) for _, text in ROWS[:3]], ("text",))
    assert _run(path) == [("1", None), ("2", None), ("3", "1")]


def test_a_row_that_cannot_be_read_is_told_and_keeps_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _csv(tmp_path / "posts.csv", [("a", POST), ("b", " "), ("c", "x", "y"), ("d", POST)])
    assert _run(path) == [("a", None), ("b", None), ("3", None), ("d", "a")]
    told = capsys.readouterr().err
    assert "row 2: text: is empty" in told
    assert "row 3: has 3 columns, the header has 2" in told


def test_brands_and_sources_are_apart(tmp_path: Path) -> None:
    rows = [
        ("1", POST, "Acme", "x"),
        ("2", POST, "Globex", "x"),
        ("3", POST, "acme", "Reddit"),
        ("4", POST, "acme", "X"),
    ]
    path = _csv(tmp_path / "posts.csv", rows, ("id", "text", "brand", "source"))
    assert [link for _, link in _run(path)] == [None, None, None, "1"]


def test_the_window_is_of_the_times_in_the_file(tmp_path: Path) -> None:
    days = ["2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-09T00:00:00Z"]
    rows = [(str(n), f"{POST} #tag{'abc'[n]}", day) for n, day in enumerate(days)]
    path = _csv(tmp_path / "posts.csv", rows, ("id", "text", "created_at"))
    assert [link for _, link in _run(path)] == [None, "0", "0"]
    assert [link for _, link in _run(path, "--window-hours", "72")] == [None, "0", None]


def test_links_reach_over_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _run(_csv(tmp_path / "posts.csv", ROWS))
    monkeypatch.setattr(dedup, "_BATCH", 2)
    assert _run(tmp_path / "posts.csv") == whole


def test_the_result_can_go_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dedup", str(_csv(tmp_path / "posts.csv", ROWS[:3])), "--out", "-"]) == 0
    out, err = capsys.readouterr()
    assert list(csv.reader(io.StringIO(out)))[3] == ["3", "567591480085463040"]
    assert err.startswith("3 rows: 2 first of their kind, 1 duplicates; ")


def test_a_file_that_cannot_be_used_leaves_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert main(["dedup", str(tmp_path / "none.csv"), "--out", str(out)]) == 1
    assert "there is no such file" in capsys.readouterr().err
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"id,text\n" + b"1,a text\n" * 50_000)[:-200])
    assert main(["dedup", str(broken), "--out", str(out)]) == 1
    assert "damaged or cut off" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.csv.gz"]


def test_the_file_that_is_read_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _csv(tmp_path / "posts.csv", ROWS)
    before = path.read_bytes()
    assert main(["dedup", str(path), "--out", str(path)]) == 1
    assert "name another one" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_directory_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _csv(tmp_path / "posts.csv", ROWS)
    assert main(["dedup", str(path), "--out", str(tmp_path / "none" / "out.csv")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--window-hours", "0"], ["--window-hours", "soon"]])
def test_a_window_that_is_none_is_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dedup", str(tmp_path / "a.csv"), "--out", "-", *words])
    assert ended.value.code == 2


@pytest.mark.skipif(not DATA.is_dir(), reason="development data (../shared/data) is not there")
def test_known_reposts_are_found_through_the_command(tmp_path: Path) -> None:
    posts = make(6_000, seed=99)
    rows = _run(_csv(tmp_path / "posts.csv", [(post.id, post.text) for post in posts]))
    assert [name for name, _ in rows] == [post.id for post in posts]
    result = score(posts, [link for _, link in rows])
    assert result.precision >= 0.985
    assert result.recall >= 0.95


def test_the_core_is_linear_in_the_length_of_the_file() -> None:
    """How fast it is, the benchmark shows."""
    words = [f"w{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]

    def seconds(count: int) -> float:
        rows = [
            Row(n, "acme", {"text": " ".join(words[(n * step + step * step) % 100] for step in range(3, 17))})
            for n in range(count)
        ]

        def links() -> None:
            assert sum(1 for _ in Deduplication(None).links(iter(rows), Found())) == count

        return least_seconds(links)

    # Sixteen times the rows: in quadratic time it would take 256 times as long.
    assert seconds(16_000) < 16 * 4 * max(seconds(1_000), 0.001)
