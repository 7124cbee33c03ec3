"""Whatever strangers write, a line of the log stays one line, a terminal is not driven, and a secret is not told:
in every field, in both forms of the log, in every command that prints what came from outside."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from src.worker.api.headers import request_name
from src.worker.commands import printable
from src.worker.commands.tables import show
from src.worker.config import load_settings
from src.worker.errors import WorkerError
from src.worker.logging import configure, get_logger
from src.worker.queue_outputs import failure
from src.worker.secrecy import masked_url, remember, secrets_of_url, without_secrets
from src.worker.services.audit import AuditRecord

HOSTILE = {
    "line break": 'acme\n{"level":"error","message":"forged"}',
    "carriage return": "acme\r2026-01-01 error forged",
    "terminal title": "acme\x1b]0;owned\x07",
    "colour": "acme\x1b[31mred\x1b[0m",
    "C1 control": "acme\x9b31mred",
    "line separator": "acme\u2028forged\u2029forged\x85forged\x0bforged\x0cforged",
    "right to left": "acme\u202etxt.exe\u202c \u2066x\u2069",
    "invisible": "ac\u200bme\u00ad\ufeff",
    "null": "acme\x00",
    "backspace": "acme\x08\x08\x08\x08evil",
    "half an emoji": "acme\ud83d",
    "fields": 'acme level=error message="forged"',
    "markup": "[red]acme[/red] [link=http://evil]x[/link] [bold",
    "format": "%s %(levelname)s {0} {brand}",
}
SEEN = set("\n\r\x1b\x07\x9b\u2028\u2029\x85\x0b\x0c\x00\x08")
"""What breaks a line or drives a terminal."""


@contextmanager
def logged(form: str) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure("debug", form, stream)
    yield stream


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", ["message", "field", "nested", "name", "exception", "argument", "extra", "warning"])
def test_a_hostile_text_stays_on_its_line_of_json(place: str, text: str) -> None:
    with logged("json") as stream:
        _say(place, text)
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    assert len(lines) == 1
    assert not set(lines[0]) & (SEEN | set("\u2028"))
    assert json.loads(lines[0])["level"] in ("info", "error", "warning")
    assert json.loads(lines[0])["message"] != "forged"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("place", ["message", "field", "nested", "name", "exception", "argument", "extra", "warning"])
def test_a_hostile_text_neither_breaks_a_line_for_people_nor_drives_their_terminal(place: str, text: str) -> None:
    with logged("text") as stream:
        _say(place, text)
    first, *more = stream.getvalue().rstrip("\n").split("\n")
    assert " info " in first or " error " in first or " warning " in first
    assert all(line.startswith("    | ") for line in more)
    assert all(place == "exception" for _ in more)
    shown = "".join((first, *more))
    assert not set(shown) & SEEN
    assert shown.isprintable()  # neither controls nor what turns the direction of reading or cannot be seen


def _say(place: str, text: str) -> None:
    log = get_logger("test")
    if place == "message":
        log.info(text)
    elif place == "field":
        log.info("said", brand=text)
    elif place == "nested":
        log.info("said", details={text: [text, {"deep": text}]})
    elif place == "name":
        log.info("said", **{text: "x"})
    elif place == "exception":
        log.error("failed", exc=ValueError(text))
    elif place == "argument":
        logging.getLogger("test").info("a library says %s", text)
    elif place == "extra":
        logging.getLogger("test").info("a library says", extra={"brand": text})
    else:
        warnings.showwarning(UserWarning(text), UserWarning, f"/x/{text}.py", 1)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("terminal", [True, False])
def test_tables_of_commands_print_hostile_texts_as_they_are_and_harmless(
    text: str, terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")  # no styles of the table's own
    show([(text, text)], header=("brand", "reason"), title=text)
    printed = capsys.readouterr().out
    assert not set(printed) & (SEEN - {"\n"})
    assert all(line.isprintable() for line in printed.split("\n"))
    if "[red]" in text:
        assert "[red]acme[/red]" in printed  # a style would have been taken away


def test_a_line_that_is_printed_holds_nothing_that_cannot_be_seen() -> None:
    assert all(printable(text).isprintable() for text in HOSTILE.values())


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x=1", b"a b", b"\x00", b"a\nb", b"x" * 65, "é".encode(), b""])
def test_a_request_names_itself_only_with_what_may_stand_in_a_header_and_a_log(value: bytes) -> None:
    name = request_name({b"x-request-id": value})
    assert name.encode() != value
    assert name.isalnum()


# -- secrets -------------------------------------------------------------------------------------------------------

SECRET = "qZ7hunter2hunter2hunter2"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("place", ["message", "field", "nested", "exception", "argument", "extra"])
def test_a_secret_of_the_settings_is_masked_wherever_a_line_holds_it(form: str, place: str) -> None:
    load_settings(_env_file=None, redis_url=f"redis://me:{SECRET}@localhost/0")
    with logged(form) as stream:
        _say(place, f"the server says {SECRET}, no")
    assert SECRET not in stream.getvalue()
    assert "the server says ***, no" in stream.getvalue()


def test_errors_and_records_of_them_hold_no_secret_of_the_settings() -> None:
    load_settings(_env_file=None, bluesky_app_password=SECRET)
    assert WorkerError(f"refused {SECRET}").as_dict()["message"] == "refused ***"
    assert failure(ValueError(f"bad {SECRET}"))["message"] == "ValueError: bad ***"
    assert failure(ValueError("http://me:other-password@host/x?token=abcdef"))["message"].endswith(
        "***@host/x?token=***"
    )
    assert SECRET not in str(AuditRecord("GET", "refused", target=f"/v1?x={SECRET}").fields())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("redis_url", f"redis://:{SECRET}@localhost"),
        ("redis_url", f"redis://localhost/0?password={SECRET}"),
        ("mongodb_uri", f"mongodb://me:{SECRET}@a:1,b:2/x"),
        ("mongodb_uri", f"mongodb://a/x?tlsCertificateKeyFilePassword={SECRET}"),
        ("archive_url", f"s3://me:{SECRET}@bucket/x"),
        ("otel_exporter_otlp_headers", f"authorization=Bearer%20{SECRET},x=y"),
        ("web_search_sources", f"rss:http://a.example/?q={{query}}&apikey={SECRET},rss:http://b.example/"),
        ("openai_base_url", f"https://{SECRET}@proxy.example/v1"),
        ("bluesky_jetstream_url", f"wss://me:{SECRET}@host/x"),
        ("worker_api_key", SECRET),
        ("mistral_api_key", SECRET),
    ],
)
def test_every_setting_that_can_hold_a_secret_is_known_and_not_shown(setting: str, value: str) -> None:
    settings: Any = load_settings(_env_file=None, **{setting: value.replace(SECRET, one := f"{setting}{SECRET}")})
    assert without_secrets(f"it said {one}!") == "it said ***!"
    assert one not in repr(settings)
    assert one not in str(settings)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://u:{SECRET}/x@host/0",
        f"mongodb://u:a@{SECRET}@host",
        f"redis://host?password={SECRET}",
        f"redis://u:{SECRET}@[::1",
    ],
)
def test_a_url_is_never_shown_with_its_password_however_it_is_written(url: str) -> None:
    assert SECRET not in masked_url(url)


def test_short_values_are_no_secrets_and_words_stay() -> None:
    remember(["word", ""])
    assert without_secrets("a word is a word") == "a word is a word"


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("acme-bot/2 (+https://acme.example)", []),
        ("git+https://me:hunter2hunter2@host/x", ["hunter2hunter2"]),
        ("rss:https://a.example/?key=abcdefghij,html:https://user:letmein99@b.example/", ["abcdefghij", "letmein99"]),
        ("://", []),
        ("1://x", []),
    ],
)
def test_secrets_are_found_wherever_a_url_begins_and_a_text_without_one_has_none(text: str, secrets: list[str]) -> None:
    assert [value for value in secrets_of_url(text) if value] == secrets
