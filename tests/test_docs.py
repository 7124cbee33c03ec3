"""The documentation says what the code does: its reference is written from it, examples are accepted, links lead on."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from docs.generator import __main__ as generator
from docs.generator import settings as settings_page
from docs.generator import tasks as tasks_page
from docs.generator.task_examples import EXAMPLES, WHAT
from src.worker.cli import COMMANDS, whole_parser
from src.worker.commands.completion import script
from src.worker.commands.examples import EXAMPLES as COMMAND_EXAMPLES
from src.worker.config import Settings
from src.worker.errors import InvalidTask
from src.worker.handlers import TaskType
from src.worker.models import Task

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").rglob("*.md")])
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return generator.pages()


# -- the reference ---------------------------------------------------------------------------------------------------


def test_the_committed_reference_is_what_the_code_writes_now(written: dict[str, str]) -> None:
    assert generator.stale(written) == [], "run `make docs`"


def test_the_reference_does_not_depend_on_this_machines_settings(
    written: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PROVIDER", "groq")
    monkeypatch.setenv("HTTP_PORT", "9999")
    assert generator.pages() == written


def test_a_page_that_is_not_up_to_date_is_named(
    written: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "pages", lambda: written)
    assert generator.main(["--check"]) == 1
    assert "settings.md is not up to date" in capsys.readouterr().err
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    (tmp_path / "docs" / "reference" / "cli.md").write_text("older")
    assert generator.stale(written) == ["cli.md"]


def test_every_setting_is_in_the_reference_with_its_bounds(written: dict[str, str]) -> None:
    page = written["settings.md"]
    rows = dict(re.findall(r"^\| `([A-Z][A-Z0-9_]*)` \| (.*)$", page, re.MULTILINE))
    assert set(rows) == {name.upper() for name in Settings.model_fields}
    assert "from 1 to 65,535" in rows["HTTP_PORT"]
    assert "`debug`, `info`" in rows["LOG_LEVEL"]
    assert "`true`, `false`" in rows["PUBLISH_SUMMARY"]
    assert rows["WORKER_API_KEY"].split("|")[1].strip() == "secret"


def test_a_comment_belongs_to_the_settings_that_follow_it() -> None:
    text = "# --- One ---\n# Of both.\n#A=1\n#B=\n# Of C.\n#C=x\n\n# --- Two ---\n#D=\n"
    one, two = settings_page.read(text)
    assert [(group.words, group.names) for group in one.groups] == [
        (["Of both."], [("A", "1"), ("B", "")]),
        (["Of C."], [("C", "x")]),
    ]
    assert [(group.words, group.names) for group in two.groups] == [([], [("D", "")])]


def test_every_task_type_has_words_and_an_example_and_no_other_does(written: dict[str, str]) -> None:
    types = set(re.findall(r"^## ([a-z_]+)$", written["tasks.md"], re.MULTILINE))
    assert types == set(WHAT) == set(EXAMPLES)
    assert {"analyze_mentions", "web_scan", "noop"} <= types


def test_what_a_type_needs_is_found_by_leaving_it_out() -> None:
    def check(task: Task) -> None:
        if "a" not in task.payload:
            raise InvalidTask("a", "is required")

    async def handle(task: Task) -> None:
        raise AssertionError

    kind = TaskType(handle, check)  # type: ignore[arg-type]
    assert tasks_page.required(kind, {"type": "x", "a": 1, "b": 2}) == {"a": "a: is required"}
    with pytest.raises(InvalidTask):
        tasks_page.required(kind, {"type": "x", "b": 2})


def test_every_route_and_metric_that_is_promised_is_in_the_reference(written: dict[str, str]) -> None:
    routes = set(re.findall(r"^### `([A-Z]+ \S+)`$", written["rest.md"], re.MULTILINE))
    assert {"POST /v1/tasks", "GET /v1/tasks/{task_id}", "GET /v1/queue", "GET /health", "GET /v1/brands"} <= routes
    assert "`worker_queue_depth` | gauge | `priority`" in written["metrics.md"]
    assert "`worker_tasks_total` | counter | `type`, `outcome`" in written["metrics.md"]


# -- the command line ------------------------------------------------------------------------------------------------


def test_every_command_has_examples_that_its_parser_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    parser = whole_parser()
    assert set(COMMAND_EXAMPLES) == {command.name for command in COMMANDS}
    for command, examples in COMMAND_EXAMPLES.items():
        assert examples, command
        for words, _ in examples:
            parser.parse_args([command, *shlex.split(words)])  # leaves with code 2 and says why, when it does not


def test_help_of_every_command_shows_its_examples_and_the_exit_codes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in COMMANDS:
        with pytest.raises(SystemExit) as left:
            whole_parser().parse_args([command.name, "--help"])
        shown = capsys.readouterr().out
        assert left.value.code == 0
        assert f"\n  python -m src.worker.cli {command.name}" in shown
        assert "exit codes:" in shown
        assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_defines_the_short_name(shell: str) -> None:
    pytest.importorskip("shtab", reason="shtab, which writes completions, is not installed")
    text = script(shell, "bw")
    assert all(command.name in text for command in COMMANDS)
    assert "-m src.worker.cli" in text
    assert ("function bw" if shell == "fish" else "bw() {") in text


# -- pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    for link in _LINK.findall(text):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", one).strip().lower().replace(" ", "-") for one in headings}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_settings_that_pages_name_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    commands = {command.name for command in COMMANDS}
    for name in re.findall(r"src\.worker\.cli ([a-z]+)", text):
        assert name in commands, name
    known = {name.upper() for name in Settings.model_fields}
    for name in re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", text):
        if name.startswith(_OWN):
            assert name in known or name in _OTHERS, name


_OWN = ("QUEUE_", "WORKER_", "HTTP_", "LLM_", "REDIS_", "MONGODB_", "JANITOR_", "WEB_", "ARCHIVE_", "EMBEDDINGS_")
"""Beginnings of settings' names; words in capitals that begin otherwise may be codes, variables of others, …"""
_OTHERS = frozenset({"WORKER_URL", "WORKER_LOST", "REDIS_CLI"})
"""Variables of the examples, and codes."""
