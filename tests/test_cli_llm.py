"""`cli llm`: what is configured, what it has cost, whether it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.worker.cli import main
from tests.llm_doubles.scripted import Fault, ScriptedServer, scripted_server


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scripted: ScriptedServer) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-a-test")
    monkeypatch.setenv("OPENAI_BASE_URL", scripted.url)


def _said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def test_every_provider_is_listed_with_why_it_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["llm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:3] == ["openai", "gpt-4o-mini", "ready"]
    assert any("XAI_API_KEY is not set" in line for line in lines)
    assert len(lines) == 10


def test_a_provider_that_answers_says_so(capsys: pytest.CaptureFixture[str], scripted: ScriptedServer) -> None:
    assert main(["llm", "--ask", "--json"]) == 0
    first = _said(capsys)["providers"][0]
    assert first["answer"].startswith("answers in")
    assert len(scripted.asked) == 1


def test_a_provider_that_refuses_makes_the_command_fail_and_shows_no_key(
    capsys: pytest.CaptureFixture[str], scripted: ScriptedServer
) -> None:
    scripted.answer = lambda asked: Fault(401)
    assert main(["llm", "--ask", "--json"]) == 1
    said = capsys.readouterr().out
    assert json.loads(said)["providers"][0]["answer"].startswith("auth:")
    assert "sk-of-a-test" not in said


def test_costs_come_from_the_ledger(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, mongo_uri: str
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongo_uri)
    assert main(["llm", "--json", "--by", "operation"]) == 0
    assert isinstance(_said(capsys)["costs"], list)
