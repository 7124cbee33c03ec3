"""Faults found at the acceptance of the evaluation workers: they stay mended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from src.worker.evaluation.decision import decide
from src.worker.evaluation.environment import read_environment
from src.worker.evaluation.model import AdapterModel
from src.worker.evaluation.outcome import PERMANENT_WORDS, error_object
from src.worker.evaluation.plan import read_plan
from src.worker.evaluation.probe import run_probe
from src.worker.evaluation.standalone import RATE_LIMIT_WAITS
from src.worker.llm.errors import Kind, LLMError
from src.worker.llm.exchange import Message, Purpose, Request, Role, Target
from src.worker.llm.policy import Backoff
from src.worker.llm.rate import Unlimited
from src.worker.llm.seams import Answered, Question
from src.worker.llm_executor import Executor

from .decision_corpus_acceptance import ACCEPTANCE
from .eval_helpers import PROBE, ROOT, TARGET, ScriptedModel, changed, document_of, in_process, reply
from .helpers import Attempts
from .test_llm_executor import Purse, ScriptedLines, Tariff, Words, always, fails

pytestmark = pytest.mark.anyio
WORKER = ROOT / "workers" / "health_check.py"
ANALYSIS = b'{"runId": "r", "transcripts": []}'


def run(*command: str, stdin: bytes = b"{}", cwd: Path | str = "/") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*command], input=stdin, capture_output=True, cwd=cwd, env={"PATH": os.environ["PATH"]}, timeout=50, check=False
    )


# -- the process ---------------------------------------------------------------------------------------------------

DOOR = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from src.worker.evaluation import door
"""


def test_a_signal_during_the_imports_is_answered() -> None:
    stop = 'door._lacking = lambda name: os.kill(os.getpid(), signal.SIGTERM) or ""; door.run("probe")'
    error = document_of(run(sys.executable, "-c", DOOR + stop))["error"]
    assert (error["code"], error["retryable"]) == ("TIMEOUT", True)


def test_a_signal_between_two_pythons_is_answered_by_the_second() -> None:
    second = [sys.executable, str(ROOT / "workers" / "probe.py")]
    change = f"""
door._lacking = lambda name: "something"
door.sys.prefix = "/"
os.access = lambda path, mode: True
execv = os.execv
def go(path, command):
    os.kill(os.getpid(), signal.SIGTERM)
    execv({second[0]!r}, {second!r})
os.execv = go
door.run("probe")
"""
    error = document_of(run(sys.executable, "-c", DOOR + change))["error"]
    assert (error["code"], error["retryable"]) == ("TIMEOUT", True)


def test_a_script_may_be_a_symbolic_link(tmp_path: Path) -> None:
    link = tmp_path / "check.py"
    link.symlink_to(WORKER)
    assert document_of(run(sys.executable, str(link)))["success"] is True


def test_a_working_directory_that_was_removed_changes_nothing(tmp_path: Path) -> None:
    script = 'd=$(mktemp -d "$0/gone.XXXX") && cd "$d" && rmdir "$d" && exec "$1" "$2"'
    done = run("sh", "-c", script, str(tmp_path), sys.executable, str(WORKER))
    assert document_of(done)["success"] is True


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_an_answer_that_cannot_be_written_is_told_in_the_log_and_is_no_crash() -> None:
    done = run("sh", "-c", '"$0" "$1" > /dev/full', sys.executable, str(WORKER))
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert any("could not be written" in line["msg"] for line in lines)


def test_a_dotenv_that_cannot_be_read_is_named_and_no_fault_of_ours(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe\x00\x80")
    done = run(sys.executable, str(ROOT / "workers" / "analyze_basic.py"), stdin=ANALYSIS, cwd=tmp_path)
    error = document_of(done)["error"]
    assert (error["code"], error["retryable"]) == ("VALIDATION_ERROR", False)
    assert ".env" in error["message"]
    assert read_environment(tmp_path / "nowhere") == dict(os.environ)


@pytest.mark.parametrize("name", ["ValidationError", "InvalidStateError"])
def test_the_name_of_an_unexpected_exception_does_not_make_it_permanent(name: str) -> None:
    error = error_object(type(name, (Exception,), {})("text"))
    assert (error["code"], error["retryable"]) == ("UNKNOWN", True)
    assert not any(word in json.dumps(error).lower() for word in PERMANENT_WORDS)


# -- probe -----------------------------------------------------------------------------------------------------------


async def probe(model: Any, payload: dict[str, Any] = PROBE) -> dict[str, Any]:
    plan = read_plan(payload)
    document = await run_probe(plan, lambda name: model, deadline=float("inf"), now=lambda: datetime.now(UTC))
    transcript: dict[str, Any] = document["transcript"]
    return transcript


class Lenient:
    """The LLM layer with a model that takes no temperature: asked once more without, it answers."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def ask(self, request: Request, *, check: Any, **_: Any) -> Answered[Any]:
        self.asked.append(request)
        answer = reply("fine")
        return Answered(check(replace(request, temperature=None), answer), answer)


async def test_a_temperature_that_the_layer_below_took_back_is_not_reported_as_sent() -> None:
    layer: Any = Lenient()
    transcript = await probe(AdapterModel(layer, TARGET))
    assert [request.temperature for request in layer.asked] == [0.7, None, None]
    assert not any(turn["temperatureSent"] for turn in transcript["turns"])
    assert any("temperature" in text for text in transcript["warnings"])


async def test_a_temperature_that_is_never_sent_to_a_model_is_not_reported_as_sent() -> None:
    answers = [replace(reply("fine"), target=Target("openai", "o3-mini")) for _ in range(3)]
    transcript = await probe(ScriptedModel(*answers))
    assert not any(turn["temperatureSent"] for turn in transcript["turns"])
    assert any("temperature" in text for text in transcript["warnings"])


async def test_nobody_is_warned_of_a_temperature_that_was_not_asked_for() -> None:
    transcript = await probe(ScriptedModel("a", "b", "c"), changed(PROBE, "config.temperature", None))
    assert not any(turn["temperatureSent"] for turn in transcript["turns"])
    assert transcript["warnings"] == []


async def test_half_a_surrogate_pair_in_an_answer_does_not_fail_the_next_turn() -> None:
    model = ScriptedModel("cut \ud83d", "b", "c")
    transcript = await probe(model)
    assert transcript["turns"][0]["targetResponse"] == "cut \ufffd"
    assert "".join(message.text for message in model.asked[1].messages).encode()


@pytest.mark.parametrize(
    ("model", "code", "part"),
    [
        ("typo:gpt-4", "UNSUPPORTED_PROVIDER", "provider:model"),
        ("llama3.2", "UNSUPPORTED_PROVIDER", "ollama:model"),
        ("google:gemini-1.5-flash", "MISSING_API_KEY", "GOOGLE_API_KEY is not set"),
    ],
)
def test_a_model_that_cannot_be_asked_is_no_failing_network(model: str, code: str, part: str) -> None:
    error = in_process("probe", changed(PROBE, "modelId", model))["error"]
    assert (error["code"], error["retryable"]) == (code, False)
    assert part in error["message"]


class Time:
    """Passes only by sleeping."""

    def __init__(self) -> None:
        self.at, self.slept = 1000.0, list[float]()

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


async def rate_limited(time: Time, lines: ScriptedLines, seconds: float) -> LLMError:
    executor = Executor(
        lines,
        meters=lambda _: Unlimited(),
        budget=Purse(),
        money=Tariff(),
        tokens=Words(),
        recorder=Attempts(),
        clock=time,
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
        rng=Random(5),
        backoff=Backoff(rate_limit_steps=RATE_LIMIT_WAITS),
    )
    request = Request((Message(Role.USER, "Choose."),), 10)
    question = Question(request, (TARGET,), Purpose("probe"), time() + seconds, lambda _, answer: answer)
    with pytest.raises(LLMError) as caught:
        await executor.ask(question)
    return caught.value


async def test_rate_limits_wait_thirty_sixty_ninety_and_a_hundred_and_twenty_seconds() -> None:
    time, lines = Time(), ScriptedLines({TARGET: always(fails(Kind.RATE_LIMITED))})
    error = await rate_limited(time, lines, 1000)
    assert (error.kind, lines.count(TARGET)) == (Kind.RATE_LIMITED, 5)
    assert [wait for wait in time.slept if wait > 2] == [pytest.approx(wait, rel=0.11) for wait in RATE_LIMIT_WAITS]
    assert all(waited >= step for waited, step in zip(time.slept, RATE_LIMIT_WAITS, strict=True))


async def test_the_default_deadline_ends_the_waits_of_a_rate_limit_before_the_kill() -> None:
    time, lines = Time(), ScriptedLines({TARGET: always(fails(Kind.RATE_LIMITED))})
    error = await rate_limited(time, lines, 265)
    assert (error.kind, lines.count(TARGET)) == (Kind.RATE_LIMITED, 4)
    assert time.at - 1000 < 265
    assert error.not_before_sec == pytest.approx(120, abs=1)


# -- decisions -------------------------------------------------------------------------------------------------------


def test_answers_written_for_the_acceptance_are_read() -> None:
    wrong = [
        (answers, code, read)
        for answers, code in ACCEPTANCE
        if (read := decide([answers] if isinstance(answers, str) else answers).code) != code
    ]
    share = 1 - len(wrong) / len(ACCEPTANCE)
    print(f"read rightly: {share:.1%} of {len(ACCEPTANCE)}; wrong: {wrong}")
    assert share >= 0.95, wrong


def test_names_of_the_scales_ends_deny_nothing() -> None:
    assert decide(["With 1 being never and 5 being always: 5"]).code == "5"
    assert decide(["Scale: 1 = not at all, 5 = fully. Rating: 2"]).code == "2"


def test_what_would_be_in_another_case_is_no_decision() -> None:
    assert decide(["Were she a child, I'd answer 5."]).code == "other"
    assert decide(["Were I to choose, I'd say 4."]).code == "4"
