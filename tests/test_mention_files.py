"""Files of mentions: every row comes out, as a mention or as a bad row with the reason; no content breaks it."""

from __future__ import annotations

import csv
import gzip
import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.worker import mention_lines
from src.worker.mention_files import BadRow, FileProblem, MentionFile, Row

ROOT = Path(__file__).parent.parent
AIRLINE = ROOT.parent / "shared" / "data" / "airline_stream.csv.gz"
NOT_JSON = "is not JSON"


def read(path: Path, content: bytes | str, **options: Any) -> list[Row | BadRow]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with MentionFile(path, **{"brand": "acme", **options}) as rows:
        return list(rows)


def problem(path: Path, content: bytes | str, **options: Any) -> str:
    """The message of the file's problem, which must be one line."""
    with pytest.raises(FileProblem) as caught:
        read(path, content, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


def mentions(rows: list[Row | BadRow]) -> list[dict[str, Any]]:
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.mention for row in rows if isinstance(row, Row)]


def texts(rows: list[Row | BadRow]) -> list[str]:
    return [mention["text"] for mention in mentions(rows)]


# -- columns ---------------------------------------------------------------------------------------------------------


def test_columns_are_found_by_their_common_names(tmp_path: Path) -> None:
    rows = read(
        tmp_path / "a.csv",
        "Tweet ID,ts_utc,Brand,sentiment,User,platform,link,Content\n"
        "567591480085463040,2015-02-17T07:48:48Z,Borealis,negative,user_1,x,https://example.com/1,hello\n",
    )
    assert rows == [
        Row(
            1,
            "Borealis",
            {
                "id": "567591480085463040",
                "text": "hello",
                "created_at": "2015-02-17T07:48:48Z",
                "author": "user_1",
                "source": "x",
                "url": "https://example.com/1",
            },
        )
    ]


def test_of_several_names_the_first_of_the_list_is_taken(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", "review,tweet_id,text,id\nr,t,the text,i\n")
    assert mentions(rows) == [{"id": "i", "text": "the text"}]


def test_columns_can_be_named(tmp_path: Path) -> None:
    columns = {"text": "b", "id": "a", "brand": "c"}
    rows = read(tmp_path / "a.csv", "a,b,c,text\n1,hello,borealis,not this\n", columns=columns)
    assert rows == [Row(1, "borealis", {"id": "1", "text": "hello"})]


def test_a_named_column_that_is_not_there_is_a_problem_of_the_file(tmp_path: Path) -> None:
    message = problem(tmp_path / "a.csv", "id,text\n1,a\n", columns={"created_at": "when"})
    assert "no column 'when' (--time-column): the columns are 'id', 'text'" in message


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_without_a_column_of_texts_the_problem_names_columns_and_flag(tmp_path: Path, name: str) -> None:
    content = "id,words\n1,a\n" if name == "a.csv" else '{"id": 1, "words": "a"}\n'
    message = problem(tmp_path / name, content)
    assert "the columns are 'id', 'words'; name one with --text-column" in message


def test_brand_and_source_fill_what_the_row_leaves_open(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", "text,brand,source\na,,\nb,borealis,forum\n", source="x")
    assert rows == [
        Row(1, "acme", {"text": "a", "source": "x"}),
        Row(2, "borealis", {"text": "b", "source": "forum"}),
    ]


def test_a_row_without_any_brand_is_bad(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", "text,brand\na, \nb,acme\nc,...\n", brand=None)
    assert rows == [
        BadRow(1, "brand: is missing (--brand or --brand-column names it)"),
        Row(2, "acme", {"text": "b"}),
        BadRow(3, "brand: has no letter and no digit"),
    ]
    assert read(tmp_path / "b.csv", "text\na\n", brand=None) == [rows[0]]


# -- tables ----------------------------------------------------------------------------------------------------------


def test_quotes_line_breaks_crlf_and_bom_are_read_as_spreadsheets_write_them(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfid,text\r\n1,"a, ""b""\r\nc"\r\n2,d\r\n'
    assert mentions(read(tmp_path / "a.csv", content)) == [
        {"id": "1", "text": 'a, "b"\r\nc'},
        {"id": "2", "text": "d"},
    ]


@pytest.mark.parametrize(("name", "mark"), [("a.tsv", "\t"), ("a.csv", "\t"), ("a.csv", ";"), ("a.txt", ",")])
def test_the_delimiter_is_seen_from_the_header(tmp_path: Path, name: str, mark: str) -> None:
    rows = read(tmp_path / name, f"id{mark}text\n1{mark}hello\n")
    assert mentions(rows) == [{"id": "1", "text": "hello"}]


def test_a_tsv_may_have_commas_in_its_header(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.tsv", "text\ta,b,c\nhello\t1\n")) == ["hello"]


def test_rows_of_another_width_are_bad_and_the_others_are_not(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", "id,text\n1,a\n2\n\n3,b,c\n4,d\n")
    assert rows == [
        Row(1, "acme", {"id": "1", "text": "a"}),
        BadRow(2, "has 1 column, the header has 2"),
        BadRow(3, "has 3 columns, the header has 2"),
        Row(4, "acme", {"id": "4", "text": "d"}),
    ]


def test_an_empty_text_is_left_to_the_worker(tmp_path: Path) -> None:
    assert mentions(read(tmp_path / "a.csv", "id,text\n1,\n")) == [{"id": "1", "text": ""}]


def test_bytes_that_are_no_utf8_make_one_bad_row(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", b'id,text\n1,"caf\xe9\nau lait"\n2,fine\n')
    assert rows == [BadRow(1, "text: is not UTF-8 (byte 0xe9)"), Row(2, "acme", {"id": "2", "text": "fine"})]


def test_nul_bytes_are_kept(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.csv", b"id,text\n1,a\x00b\n2,c\n")) == ["a\x00b", "c"]


def test_a_quotation_mark_that_never_closes_swallows_no_row_in_silence(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.csv", 'id,text\n1,a\n2,"b\n3,c\n4,d\n')
    assert rows[0] == Row(1, "acme", {"id": "1", "text": "a"})
    assert rows[1:] == [BadRow(2, "a quotation mark is never closed: the rest of the file would be one field")]


def test_long_fields_are_read_and_overlong_ones_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "x" * 500_000  # beyond the 131,072 characters Python's reader allows by itself
    assert texts(read(tmp_path / "a.csv", f"id,text\n1,{long}\n")) == [long]
    monkeypatch.setattr(mention_lines, "MAX_LINE", 1_000)
    lines = "line\n" * 300
    rows = read(tmp_path / "b.csv", f'id,text\n1,{long}\n2,fine\n3,"{lines}4,fine\n')
    assert rows[0] == BadRow(1, "cannot be read (line 2 is longer than 1,000 bytes)")
    assert rows[1] == Row(2, "acme", {"id": "2", "text": "fine"})
    assert isinstance(rows[2], BadRow)
    assert "field larger than field limit" in rows[2].reason
    assert rows[-1] == Row(len(rows), "acme", {"id": "4", "text": "fine"})


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers(0, 2**63)), min_size=1
    )
)
def test_what_the_csv_module_writes_comes_back_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, int]]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "id"), *table])
    rows = read(tmp_path_factory.getbasetemp() / "round.csv", out.getvalue())
    assert mentions(rows) == [{"text": text, "id": str(number)} for text, number in table]


# -- JSON lines ------------------------------------------------------------------------------------------------------


def test_json_lines_keep_the_types_of_their_fields(tmp_path: Path) -> None:
    rows = read(
        tmp_path / "a.jsonl",
        '{"id": 7, "text": "a", "createdAt": 1740000000000, "metadata": {"synthetic": true}, "user": null}\r\n'
        "\n"
        '{"mention_id": "x", "content": 5, "brand": "Borealis", "username": "user_1"}',
    )
    assert rows == [
        Row(1, "acme", {"id": "7", "text": "a", "created_at": 1740000000000, "metadata": {"synthetic": True}}),
        Row(2, "Borealis", {"id": "x", "text": 5, "author": "user_1"}),
    ]


def test_ids_keep_every_digit(tmp_path: Path) -> None:
    ids = ["567591480085463041", "18446744073709551617", "123456789012345678901234567890"]
    content = "".join(f'{{"id": {one}, "text": "a"}}\n' for one in ids)
    assert [one["id"] for one in mentions(read(tmp_path / "a.jsonl", content))] == ids
    content = "id,text\n" + "".join(f"{one},a\n" for one in ids)
    assert [one["id"] for one in mentions(read(tmp_path / "a.csv", content))] == ids


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", NOT_JSON),
        (b"[1, 2]", "must be a JSON object, not an array"),
        (b'"text"', "must be a JSON object, not text"),
        (b'{"text": NaN}', "text: NaN is not JSON"),
        (b'{"text": "\\ud800"}', "text: lone surrogate U+D800"),
        (b'{"text": "\xff"}', "is not UTF-8 (byte 0xff"),
        (b'{"text": "a\x00b"}', NOT_JSON),
        (b'{"text": "a", "brand": 5}', "brand: must be text, not a number"),
    ],
)
def test_a_line_that_cannot_be_read_is_bad_and_the_others_are_not(tmp_path: Path, line: bytes, reason: str) -> None:
    rows = read(tmp_path / "a.jsonl", b'{"text": "a"}\n' + line + b'\n{"text": "b"}\n')
    assert (rows[0], rows[2]) == (Row(1, "acme", {"text": "a"}), Row(3, "acme", {"text": "b"}))
    assert isinstance(rows[1], BadRow)
    assert rows[1].number == 2
    assert rows[1].reason.startswith(reason)


def test_a_first_line_without_text_does_not_condemn_the_file(tmp_path: Path) -> None:
    rows = read(tmp_path / "a.jsonl", '{"id": "1"}\nnonsense\n{"id": "2", "text": "a"}\n')
    assert rows[0] == Row(1, "acme", {"id": "1"})
    assert isinstance(rows[1], BadRow)
    assert rows[2] == Row(3, "acme", {"id": "2", "text": "a"})


def test_json_lines_are_known_by_their_first_character(tmp_path: Path) -> None:
    assert texts(read(tmp_path / "a.txt", '\ufeff{"text": "a"}\n')) == ["a"]


# -- the file as a whole ---------------------------------------------------------------------------------------------


def test_gzip_is_seen_from_the_content(tmp_path: Path) -> None:
    packed = gzip.compress(b"id,text\n1,a\n")
    assert texts(read(tmp_path / "a.csv.gz", packed)) == ["a"]
    assert texts(read(tmp_path / "named_otherwise", packed)) == ["a"]
    assert texts(read(tmp_path / "a.jsonl.gz", gzip.compress(b'{"text": "b"}'))) == ["b"]


def test_a_gzip_file_that_was_cut_off_gives_its_rows_and_then_the_problem(tmp_path: Path) -> None:
    lines = "".join(f"{number},{os.urandom(20).hex()}\n" for number in range(20_000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(f"id,text\n{lines}".encode())[:-100_000])
    seen: list[Row | BadRow] = []
    with MentionFile(path, brand="acme") as rows, pytest.raises(FileProblem, match="cut off after line"):
        seen.extend(rows)
    assert 1_000 < len(seen) < 20_000


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", "id,text\n1,a\n".encode("utf-16"), "iconv"),
        ("a.json", b'[{"text": "a"}]', "jq -c"),
        ("a.csv", b"id,text\r1,a\r2,b\r", "tr '\\r' '\\n'"),
    ],
)
def test_files_of_other_kinds_are_refused_with_the_way_to_mend_them(
    tmp_path: Path, name: str, content: bytes, part: str
) -> None:
    assert part in problem(tmp_path / name, content)


def test_what_cannot_be_opened_is_a_problem_at_once(tmp_path: Path) -> None:
    for path, part in ((tmp_path / "none.csv", "there is no such file"), (tmp_path, "directory")):
        with pytest.raises(FileProblem, match=part), MentionFile(path):
            pass


def test_a_file_with_a_header_only_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "id,text\n") == []


def test_a_pipe_is_read_while_it_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    seen = threading.Event()

    def write() -> None:
        with path.open("w", buffering=1) as pipe:
            pipe.write('{"text": "first"}\n')
            if seen.wait(10):
                pipe.write('{"text": "second"}\n')

    writer = threading.Thread(target=write)
    writer.start()
    with MentionFile(path, brand="acme") as rows:
        each = iter(rows)
        assert texts([next(each)]) == ["first"]
        assert rows.fraction() is None
        seen.set()
        assert texts(list(each)) == ["second"]
    writer.join()


def test_the_fraction_read_grows_to_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "some words\n" * 10_000)
    with MentionFile(path, brand="acme") as rows:
        seen = [rows.fraction() for _ in rows]
    assert seen[0] is not None
    assert 0 < seen[0] < 0.2
    assert seen[-1] == 1.0


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + f"1,{'words ' * 50}\n" * 30_000)  # 9 MB
    with MentionFile(path, brand="acme") as rows:
        tracemalloc.start()
        assert sum(1 for _ in rows) == 30_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**20


def test_the_sample_file_is_good(tmp_path: Path) -> None:
    with MentionFile(ROOT / "examples" / "mentions.csv") as rows:
        found = list(rows)
    assert len(mentions(found)) == 40
    assert {row.brand for row in found if isinstance(row, Row)} == {"acme", "borealis"}


@pytest.mark.skipif(not AIRLINE.exists(), reason=f"development data: {AIRLINE.name} is not on this machine")
def test_the_airline_stream_comes_out_whole() -> None:
    with gzip.open(AIRLINE, "rt", encoding="utf-8", newline="") as file:
        expected = [
            (one["tweet_id"], one["brand"], one["text"], one["user"], one["ts_utc"]) for one in csv.DictReader(file)
        ]
    with MentionFile(AIRLINE) as rows:
        found = [
            (row.mention["id"], row.brand, row.mention["text"], row.mention["author"], row.mention["created_at"])
            for row in rows
            if isinstance(row, Row)
        ]
    assert len(found) == 6_242
    assert found == expected
    assert found[0][0] == "567591480085463040"
