"""`doctor`: every fault is named with what mends it, nothing secret is shown, and it works without any server."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pymongo
import pytest
import redis

from src.worker.access import AccessKey, Role, key_of
from src.worker.cli import main
from src.worker.commands import doctor_machine
from src.worker.commands.doctor_checks import Finding, Named, Verdict, run_checks
from src.worker.commands.doctor_mongo import check_mongo
from src.worker.commands.doctor_redis import check_redis
from src.worker.config import Settings, load_settings
from src.worker.errors import WorkerError
from src.worker.llm.tokens import TABLES
from src.worker.services.students import LABELS, MODELS
from tests.helpers import running, settings, until
from tests.llm_doubles.scripted import Fault, scripted_server

OPENAI = "sk-of-a-test-0123456789abcdef"
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory without `.env` and servers, an environment without settings, a port nobody else uses."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTP_PORT", str(_free_port()))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def examined(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> dict[str, dict[str, Any]]:
    """The checks by name after `doctor --json`, which must end with this code."""
    assert main(["doctor", "--json", *words]) == code
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is (code == 0)
    return {one["check"]: one for one in said["checks"]}


def named(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {one.name: one for one in findings}


# -- without servers -------------------------------------------------------------------------------------------------


def test_without_servers_it_says_what_a_start_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    found = examined(capsys, code=0)
    for server in ("redis", "mongodb"):
        assert found[server]["verdict"] == "skipped"
        assert "make run" in found[server]["detail"]
    assert found["settings"]["verdict"] == "ok"
    assert "tiers 1 and 2" in found["models"]["detail"]


def test_without_the_packages_of_the_embedded_servers_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found = doctor_machine.check_embedded("redis", Path("data"))[0]
    assert (found.verdict, "REDIS_URL" in (found.mend or "")) == (Verdict.FAULT, True)


def test_all_settings_that_cannot_be_used_are_named_at_once_without_their_values(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PORT", "99999")
    monkeypatch.setenv("MONGODB_URI", "postgres://me:hunter2@host/db")
    assert main(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    problems = [one for one in json.loads(out)["checks"] if one["verdict"] == "fault"]
    assert [one["detail"].partition(":")[0] for one in problems] == ["MONGODB_URI", "HTTP_PORT"]
    assert all(one["mend"] for one in problems)
    assert "hunter2" not in out


def test_a_slip_in_the_settings_file_is_found_and_other_programs_names_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    slip = "# LLM_MAX_SHAR=0.1\nexport LLM_MAX_SHAR=0.2\n"
    others = "COMPOSE_PROJECT_NAME=x\nOTEL_EXPORTER_OTLP_TRACES_HEADERS=y\n"
    file.write_text(f"{slip}{others}LOG_LEVEL=info\nGROQ_API_KEY=k\n")
    file.chmod(0o644)
    details = [(one.detail.removeprefix(str(file)), one.mend) for one in doctor_machine.check_dotenv(file)]
    assert details == [
        (": LLM_MAX_SHAR is no setting", "write LLM_MAX_SHARE"),
        (" holds keys and others may read it", f"chmod 600 {file}"),
    ]
    file.chmod(0o600)
    assert len(doctor_machine.check_dotenv(file)) == 1
    assert doctor_machine.check_dotenv(tmp_path / "none") == []


def test_a_full_disk_is_a_fault_and_a_nearly_full_one_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(size: int) -> Verdict:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": size}))
        return doctor_machine.check_disk(tmp_path / "not" / "there" / "yet")[0].verdict

    assert [free(2**20), free(2**29), free(2**40)] == [Verdict.FAULT, Verdict.WARNING, Verdict.OK]


def test_a_file_of_keys_that_lets_nobody_in_or_everybody_is_found(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    file = tmp_path / "keys"

    def looked(*keys: AccessKey, mode: int = 0o600) -> Finding:
        file.write_text("".join(f"{key.line()}\n" for key in keys))
        file.chmod(mode)
        return doctor_machine.check_keys(settings(worker_api_keys_file=file), now)[0]

    good, old = key_of("a", Role.READ, "1"), key_of("b", Role.WRITE, "2", now - timedelta(days=1))
    assert looked(good).verdict is Verdict.OK
    assert (looked(good, old).verdict, "b" in looked(good, old).detail) == (Verdict.WARNING, True)
    assert looked(good, mode=0o666).verdict is Verdict.FAULT
    assert looked(good, good).verdict is Verdict.FAULT
    file.unlink()
    assert doctor_machine.check_keys(settings(worker_api_keys_file=file), now)[0].verdict is Verdict.FAULT


# -- the port --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(body: bytes) -> Iterator[int]:
    """An HTTP server that answers everything with `body`; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test's output is its own."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_free_port_is_fine() -> None:
    assert doctor_machine.check_port("127.0.0.1", _free_port())[0].verdict is Verdict.OK


def test_a_port_with_a_worker_on_it_is_fine_and_the_worker_is_named() -> None:
    with serving(b'{"status": "ok", "workerId": "w-7", "version": "1"}') as port:
        found = doctor_machine.check_port("127.0.0.1", port)[0]
    assert (found.verdict, "w-7" in found.detail) == (Verdict.OK, True)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"status": "ok"}'])
def test_a_port_that_something_else_holds_is_a_fault(body: bytes) -> None:
    with serving(body) as port:
        found = doctor_machine.check_port("127.0.0.1", port)[0]
    assert found.verdict is Verdict.FAULT
    assert "HTTP_PORT" in (found.mend or "")


# -- Redis -----------------------------------------------------------------------------------------------------------


async def test_a_redis_that_is_fit_passes_every_check_and_keeps_nothing(redis_url: str) -> None:
    found = named(await check_redis(redis_url))
    assert {one.verdict for one in found.values()} == {Verdict.OK}
    assert set(found) == {"redis", "redis version", "redis memory", "redis log", "redis write", "redis clock"}
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


@contextlib.contextmanager
def configured(url: str, **values: str) -> Iterator[None]:
    """Redis with other settings for a moment."""
    with redis.Redis.from_url(url) as client:
        before = {name: cast(dict[str, str], client.config_get(name))[name] for name in values}
        for name, value in values.items():
            client.config_set(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                client.config_set(name, value)


async def test_a_redis_that_evicts_is_a_fault_once_it_has_a_limit(redis_url: str) -> None:
    evicting = {"maxmemory-policy": "allkeys-lru"}
    with configured(redis_url, **evicting):
        unlimited = named(await check_redis(redis_url))["redis memory"]
    with configured(redis_url, **evicting, maxmemory=str(2**30)):
        limited = named(await check_redis(redis_url))["redis memory"]
    assert (unlimited.verdict, limited.verdict) == (Verdict.WARNING, Verdict.FAULT)
    assert "noeviction" in (limited.mend or "")


async def test_a_clock_that_differs_is_said_with_by_how_much(redis_url: str) -> None:
    late = named(await check_redis(redis_url, clock=lambda: time.time() - 5))["redis clock"]
    wrong = named(await check_redis(redis_url, clock=lambda: time.time() + 3600))["redis clock"]
    assert (late.verdict, wrong.verdict) == (Verdict.WARNING, Verdict.FAULT)
    said = re.search(r"by ([0-9.]+) s", late.detail)
    assert said is not None
    assert 2 <= float(said[1]) <= 5.0, "what lies between question and answer is taken off"
    assert "chrony" in (wrong.mend or "")


async def test_a_redis_that_refuses_writes_is_a_fault(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@all", "-@write", "+ping", "+info")
        try:
            found = named(await check_redis(redis_url.replace("redis://", "redis://reader:pw@")))
        finally:
            client.execute_command("ACL", "DELUSER", "reader")
    assert found["redis write"].verdict is Verdict.FAULT
    assert "ACL" in (found["redis write"].mend or "")
    assert not any("pw" in one.detail for one in found.values())


# -- MongoDB ---------------------------------------------------------------------------------------------------------


async def test_a_database_before_its_first_worker_lacks_indexes_and_one_after_has_all(
    redis_url: str, mongo_uri: str
) -> None:
    before = named(await check_mongo(mongo_uri, settings()))
    assert before["mongodb indexes"].verdict is Verdict.WARNING
    assert before["mongodb write"].verdict is Verdict.OK
    async with running(redis_url, mongo_uri) as runtime:

        async def prepared() -> bool:
            return runtime.worker.state.value == "running"

        await until(prepared)
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        # Students make theirs when they first have something to keep.
        there = set(client.get_default_database().list_collection_names()) - {LABELS, MODELS}
        made = sum(len(client.get_default_database()[name].index_information()) - 1 for name in there)
    after = named(await check_mongo(mongo_uri, settings()))["mongodb indexes"]
    # Every index that a start creates is looked for, and no other: none is forgotten here.
    assert (after.verdict, after.detail) == (Verdict.OK, f"all {made} present")
    assert "doctor_checks" not in there


async def test_servers_that_are_not_there_are_faults_that_name_the_setting_and_no_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = _free_port()
    findings = [
        *await check_redis(f"redis://me:hunter2@127.0.0.1:{nobody}/0"),
        *await check_mongo(f"mongodb://me:hunter2@127.0.0.1:{nobody}/x?serverSelectionTimeoutMS=200", settings()),
    ]
    assert [one.verdict for one in findings] == [Verdict.FAULT, Verdict.FAULT]
    assert ["REDIS_URL" in (findings[0].mend or ""), "MONGODB_URI" in (findings[1].mend or "")] == [True, True]
    assert not any("hunter2" in one.detail for one in findings)


async def test_urls_that_nobody_can_use_are_faults_and_show_nothing_of_the_password() -> None:
    findings = [
        *await check_redis("redis://:hun#ter2@host:6379/0"),
        *await check_mongo("mongodb://me:hun@ter2:x@host/db", settings()),
        *await check_mongo("mongodb://me:hunter2@host:port/db", settings()),
    ]
    assert [one.verdict for one in findings] == [Verdict.FAULT] * 3
    assert not any("hun" in f"{one.detail}{one.mend}" or "ter2" in f"{one.detail}{one.mend}" for one in findings)
    assert all("%40" in (one.mend or "") for one in findings)


# -- models ----------------------------------------------------------------------------------------------------------


def test_a_key_of_another_provider_is_noticed_and_no_key_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    groq = "gsk_" + "x1" * 20
    monkeypatch.setenv("OPENAI_API_KEY", groq)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "two words")
    assert main(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    found = {one["check"]: one for one in json.loads(out)["checks"]}
    assert found["models: openai"]["verdict"] == "warning"
    assert "groq" in found["models: openai"]["detail"]
    assert found["models: anthropic"]["verdict"] == "fault"
    assert not any(secret in out for secret in (groq, "two words"))


def test_a_provider_that_is_named_without_a_key_is_a_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_PROVIDER", "mistral")
    assert "MISTRAL_API_KEY is not set" in examined(capsys, code=1)["models"]["detail"]


def test_under_a_budget_models_without_a_price_are_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI)
    monkeypatch.setenv("LLM_DAILY_BUDGET_USD", "5")
    assert examined(capsys, code=0)["budget"]["verdict"] == "ok"
    monkeypatch.setenv("OPENAI_MODEL", "gpt-of-nobody")
    found = examined(capsys, code=1)["budget"]
    assert "LLM_PRICES_FILE" in found["mend"]


def test_models_are_asked_only_when_that_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI)
    with scripted_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        examined(capsys, code=0)
        assert server.asked == []
        assert "answers in" in examined(capsys, "--ask", code=0)["models: openai"]["detail"]
        server.answer = lambda asked: Fault(401)
        refused = examined(capsys, "--ask", code=1)["models: openai"]
    assert "auth" in refused["detail"]


def test_token_tables_that_are_missing_or_wrong_are_told_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert "estimated" in examined(capsys, code=0)["token tables"]["detail"]
    for table in TABLES.values():
        path = table.path({"TIKTOKEN_CACHE_DIR": str(tmp_path)})
        assert path is not None
        path.write_bytes(b"not it")
    assert "not the published file" in examined(capsys, code=0)["token tables"]["detail"]


def test_embeddings_that_cannot_be_computed_are_a_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDINGS_PROVIDER", "gemini")
    assert "GEMINI_API_KEY" in examined(capsys, code=1)["embeddings"]["detail"]


# -- how it runs -----------------------------------------------------------------------------------------------------


async def test_a_check_that_hangs_or_breaks_is_a_fault_and_the_others_are_heard() -> None:
    async def hangs() -> Sequence[Finding]:
        await asyncio.sleep(3600)
        raise AssertionError

    async def breaks() -> Sequence[Finding]:
        raise WorkerError("the file is damaged")

    async def works() -> Sequence[Finding]:
        return [Finding("third", Verdict.OK, "fine")]

    found = await run_checks([Named("first", hangs, 0.05), Named("second", breaks), Named("third", works)])
    assert [(one.name, one.verdict) for one in found] == [
        ("first", Verdict.FAULT),
        ("second", Verdict.FAULT),
        ("third", Verdict.OK),
    ]
    assert found[1].detail == "the file is damaged"


def test_people_get_a_line_per_check_and_a_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr()
    assert [line.split()[0] for line in said.out.splitlines()][:3] == ["check", "settings", "redis"]
    assert "skipped" in said.err


def test_the_first_problem_of_the_settings_is_what_other_commands_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "0")
    monkeypatch.setenv("LLM_MAX_SHARE", "2")
    with pytest.raises(WorkerError) as caught:
        load_settings(_env_file=None)
    assert caught.value.message.startswith("LLM_MAX_SHARE: ")
    assert len(caught.value.problems) == 2  # type: ignore[attr-defined]
