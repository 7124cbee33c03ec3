"""One strict JSON document on standard output whatever happens, exit code 0, before the deadline, without a key."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from src.worker.errors import ConfigError, InvalidTask
from src.worker.evaluation.compat.errors import RETRYABLE_CODES, ErrorCode, WorkerError
from src.worker.evaluation.environment import DEFAULT_TIMEOUT_SEC, read_environment, worker_timeout
from src.worker.evaluation.outcome import PERMANENT_WORDS, error_object, retry_safe
from src.worker.evaluation.protocol import Context, stopped
from src.worker.evaluation.redaction import MASK, redactor, without_surrogates
from src.worker.evaluation.scripts import SCRIPTS
from src.worker.evaluation.validation import sentence
from src.worker.llm.errors import Kind, LLMError

from .eval_helpers import KEY, PROBE, ROOT, SUMMARIZE, document_of, in_process, log_lines, process
from .llm_doubles.scripted import Fault, scripted_server

_DOORS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "workers").glob("*.py"))
READING = [name for name, script in SCRIPTS.items() if script.reads_input]
STARTER = """
import sys
sys.path.insert(0, {root!r})
{before}
from src.worker.evaluation.protocol import main
from src.worker.evaluation.scripts import SCRIPTS
main({script!r}, SCRIPTS[{script!r}])
"""


def started(script: str, before: str, payload: bytes = b"{}", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """A script in a process in which something was prepared first."""
    code = STARTER.format(root=str(ROOT), before=before, script=script)
    return subprocess.run(
        [sys.executable, "-c", code],
        input=payload,
        capture_output=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], **environ},
        timeout=50,
    )


@pytest.mark.parametrize("script", READING)
@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "No input"),
        (b" \n\t ", "No input"),
        (b"{", "Invalid JSON"),
        (b"hello", "Invalid JSON"),
        (b'{"runId": NaN}', "Invalid JSON: runId: NaN"),
        (b'{"runId": -Infinity}', "Invalid JSON"),
        (b'{"a": "\xff"}', "Invalid JSON: is not UTF-8"),
        (b"[" * 5000, "Invalid JSON: nested deeper"),
        (b"5", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"{}", "Missing required field: "),
    ],
)
def test_input_that_cannot_be_used_is_the_clients_error(script: str, raw: bytes, part: str) -> None:
    error = in_process(script, raw)["error"]
    assert (error["code"], error["retryable"]) == ("VALIDATION_ERROR", False)
    assert part in error["message"]


def test_a_missing_field_names_all_that_are_required() -> None:
    error = in_process("probe", {"runId": "r"})["error"]
    assert error["message"] == "Missing required field: scenarioId"
    assert error["details"] == "Required fields: runId, scenarioId, modelId, scenario, config"


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_every_script_runs_from_any_directory_without_pythonpath(script: str, tmp_path: Path) -> None:
    document = document_of(process(script, b"", cwd=tmp_path))
    assert document["success"] is (script == "health_check")


def test_a_lone_surrogate_is_mended_and_told_in_the_log() -> None:
    done = process("compute_token_stats", b'{"runId": "cut \\ud83d", "probeResults": [], "a": "\\ud83d\\ude00"}')
    assert document_of(done)["success"] is True
    assert [line["msg"] for line in log_lines(done)] == ["a lone surrogate was replaced by U+FFFD", "done"]
    assert without_surrogates("a\ud83d\ude00b\ud83dc") == "a😀b\ufffdc"


def test_input_is_utf8_whatever_the_locale_says() -> None:
    content = {"definitionId": "d", "content": {"template": "Où? 東京 😀"}}
    raw = json.dumps(content, ensure_ascii=False).encode()
    done = process("generate_scenarios", raw, environ={"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    assert document_of(done)["scenarios"][0]["content"]["prompt"] == "Où? 東京 😀"


def test_what_libraries_print_never_reaches_standard_output() -> None:
    before = """
import atexit, os, src.worker.evaluation.token_stats as module
inner = module.compute_token_stats
def loud(payload, *, clock):
    print("stray print")
    os.system("echo stray child")
    os.write(1, b"stray write")
    return inner(payload, clock=clock)
module.compute_token_stats = loud
atexit.register(print, "stray exit")
"""
    done = started("compute_token_stats", before, b'{"runId": 1, "probeResults": []}')
    assert document_of(done)["success"] is True
    for word in (b"stray print", b"stray child", b"stray write"):
        assert word in done.stderr


def test_a_fault_of_ours_is_unknown_and_tells_neither_its_text_nor_a_traceback() -> None:
    before = """
import src.worker.evaluation.token_stats as module
def broken(payload, *, clock):
    raise KeyError("sk-secret-secret-secret " + str(payload))
module.compute_token_stats = broken
"""
    done = started("compute_token_stats", before, b'{"runId": "a prompt", "probeResults": []}')
    error = document_of(done)["error"]
    assert (error["code"], error["retryable"], error["details"]) == ("UNKNOWN", True, "KeyError")
    everything = done.stdout + done.stderr
    assert b"Traceback" not in everything
    assert b"a prompt" not in everything
    assert b"sk-secret" not in everything
    assert any("broken" in place for place in log_lines(done)[0]["at"])


def test_a_result_that_is_no_strict_json_is_a_fault_of_ours() -> None:
    before = """
import src.worker.evaluation.token_stats as module
module.compute_token_stats = lambda payload, *, clock: {"success": True, "mean": float("nan")}
"""
    assert document_of(started("compute_token_stats", before))["error"]["code"] == "UNKNOWN"


@pytest.mark.parametrize(("script", "package"), [("probe", "pydantic_settings"), ("compute_token_stats", "orjson")])
def test_a_missing_package_is_named_with_how_to_install_it(script: str, package: str) -> None:
    error = document_of(started(script, f"sys.modules[{package!r}] = None", json.dumps(PROBE).encode()))["error"]
    assert (error["code"], error["retryable"]) == ("VALIDATION_ERROR", False)
    assert f"'{package}' is not installed" in error["message"]
    assert "pip install" in error["message"]


def test_a_python_without_packages_says_so_where_there_is_no_environment_to_go_on_in(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "src").symlink_to(ROOT / "src")
    door = tmp_path / "workers" / "probe.py"
    door.write_text((ROOT / "workers" / "probe.py").read_text())
    # -S: no site-packages, so nothing but the standard library is there.
    done = subprocess.run([sys.executable, "-S", str(door)], input=b"{}", capture_output=True, timeout=30)
    error = document_of(done)["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert "make setup" in error["message"]


def test_a_python_without_packages_goes_on_in_the_repositorys_environment() -> None:
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("the repository has no .venv here")
    door = ROOT / "workers" / "generate_scenarios.py"
    payload = b'{"definitionId": "d", "content": {"template": "x"}}'
    done = subprocess.run(
        [sys.executable, "-S", "-I", str(door)], input=payload, capture_output=True, timeout=30, cwd="/"
    )
    assert document_of(done)["success"] is True


def hanging(**environ: str) -> tuple[subprocess.Popen[bytes], float]:
    running = subprocess.Popen(
        [sys.executable, str(ROOT / "workers" / "probe.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "OPENAI_API_KEY": KEY, **environ},
        cwd="/",
    )
    return running, time.monotonic()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_answered_with_what_was_paid_for(number: signal.Signals) -> None:
    with scripted_server() as server:

        def answer(asked: Any) -> str:
            if len(server.asked) == 2:
                server.delay_sec = 60
            return "Rating: 4"

        server.answer = answer
        running, _ = hanging(OPENAI_BASE_URL=server.url)
        assert running.stdin is not None
        running.stdin.write(json.dumps(PROBE).encode())
        running.stdin.close()
        running.stdin = None
        deadline = time.monotonic() + 40
        while len(server.asked) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(number)
        out, _ = running.communicate(timeout=40)  # the answer it waits for takes a minute
    assert running.returncode == 0
    error = json.loads(out)["error"]
    assert (error["code"], error["retryable"]) == ("TIMEOUT", True)
    assert [turn["targetResponse"] for turn in error["details"]["transcript"]["turns"]] == ["Rating: 4", "Rating: 4"]
    assert error["details"]["transcript"]["costSnapshot"]["estimatedCost"] > 0


def _unread(pipe: Any) -> int:
    """Bytes that nobody has taken out of it yet."""
    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def test_a_signal_before_the_end_of_the_input_is_answered_too() -> None:
    running, _ = hanging()
    assert running.stdin is not None
    running.stdin.write(b"{")
    running.stdin.flush()
    deadline = time.monotonic() + 30
    while _unread(running.stdin):  # it waits for the rest then; before that, a signal may end what has not begun
        assert time.monotonic() < deadline, "it does not read"
        time.sleep(0.02)
    running.terminate()
    assert running.stdout is not None
    out = running.stdout.read()
    assert (running.wait(20), json.loads(out)["error"]["code"]) == (0, "TIMEOUT")
    running.communicate()


def test_the_deadline_ends_a_script_that_waits_for_its_input() -> None:
    running, began = hanging(PYTHON_WORKER_TIMEOUT="1.5")
    assert running.stdout is not None
    out = running.stdout.read()
    assert running.wait(20) == 0
    assert time.monotonic() - began < 30, "without a deadline of its own it would wait for minutes"
    assert "ran out of time" in json.loads(out)["error"]["message"]
    running.communicate()


def test_a_rate_limit_reaches_the_orchestrator_before_its_kill() -> None:
    with scripted_server() as server:
        server.answer = lambda asked: Fault(429)
        began = time.monotonic()
        done = process(
            "probe",
            PROBE,
            environ={"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "PYTHON_WORKER_TIMEOUT": "20"},
        )
    error = document_of(done)["error"]
    assert (error["code"], error["retryable"]) == ("RATE_LIMIT", True)
    assert error["details"]["retryAfterSec"] == pytest.approx(30, abs=1)
    assert time.monotonic() - began < 20
    assert len(server.asked) == 1


@pytest.mark.parametrize("value", ["abc", "0", "-1", "nan", "inf", "1e9"])
@pytest.mark.parametrize("script", ["health_check", "probe"])
def test_a_timeout_that_is_none_is_named(script: str, value: str) -> None:
    if script == "probe":
        with pytest.raises(ConfigError, match="PYTHON_WORKER_TIMEOUT"):
            worker_timeout({"PYTHON_WORKER_TIMEOUT": value})
        return
    error = document_of(process(script, environ={"PYTHON_WORKER_TIMEOUT": value}))["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert "PYTHON_WORKER_TIMEOUT" in error["message"]


def test_a_timeout_left_blank_is_the_default() -> None:
    assert worker_timeout({"PYTHON_WORKER_TIMEOUT": " "}) == worker_timeout({}) == DEFAULT_TIMEOUT_SEC
    assert worker_timeout({"PYTHON_WORKER_TIMEOUT": "12.5"}) == 12.5


def test_settings_of_the_queue_do_not_stop_a_script() -> None:
    environ = {"REDIS_URL": "not a url", "LOG_LEVEL": "trace", "HTTP_PORT": "x"}
    assert in_process("probe", PROBE, environ)["error"]["code"] == "MISSING_API_KEY"
    done = process("probe", PROBE, environ=environ)
    assert document_of(done)["error"]["code"] == "MISSING_API_KEY"


def test_the_environment_wins_over_dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("XAI_API_KEY=from-file\nMISTRAL_API_KEY=from-file\n")
    monkeypatch.setenv("XAI_API_KEY", "from-environment")
    found = read_environment(tmp_path)
    assert (found["XAI_API_KEY"], found["MISTRAL_API_KEY"]) == ("from-environment", "from-file")


def test_no_key_is_ever_in_the_output() -> None:
    environ = {"OPENAI_API_KEY": "plain-secret-value", "MY_API_KEY": "other-secret-value"}
    payload = {**SUMMARIZE, "modelId": "plain-secret-value other-secret-value AIza" + "b" * 30, "x": KEY}
    shown = json.dumps(in_process("summarize", payload, environ))
    assert "secret-value" not in shown
    assert "AIza" not in shown


@pytest.mark.parametrize(
    "text",
    ["sk-ant-" + "a1" * 12, "AIza" + "Sy" * 12, "Bearer " + "ab" * 12, "gsk_" + "ab" * 12],
)
def test_what_looks_like_a_key_is_masked(text: str) -> None:
    assert text not in redactor({})(f"it said {text} was wrong")
    assert MASK in redactor({})(f"it said {text} was wrong")


def test_ordinary_words_stay() -> None:
    text = "I'd sk-ip the risk-averse pk-option; Bearer of news. gsk_short"
    assert redactor({"A_API_KEY": "short"})(text) == text


@pytest.mark.parametrize("code", sorted(RETRYABLE_CODES))
@pytest.mark.parametrize("word", PERMANENT_WORDS)
def test_no_message_of_a_retryable_error_makes_it_permanent(code: ErrorCode, word: str) -> None:
    shown = error_object(WorkerError(f"model-x-{word.upper()}-y failed", code))
    assert shown["retryable"] is True
    assert not any(bad in f"{shown['code']}: {shown['message']}".lower() for bad in PERMANENT_WORDS)
    assert word.upper() in shown["details"]["problem"]


@pytest.mark.parametrize("kind", list(Kind))
def test_every_failure_of_a_model_has_a_code_and_keeps_the_rule(kind: Kind) -> None:
    shown = error_object(LLMError(kind, "openai:gpt-20240401 said: invalid, 404 not found", detail="bad request"))
    if shown["retryable"]:
        assert not any(bad in shown["message"].lower() for bad in PERMANENT_WORDS)
    assert shown["details"]["kind"] == kind.value


def test_a_message_without_such_words_is_kept() -> None:
    assert retry_safe("openai is overloaded", "SERVER_ERROR") == "openai is overloaded"


@pytest.mark.parametrize(
    ("field", "problem", "message"),
    [
        ("runId", "is required", "Missing required field: runId"),
        ("transcripts", "must be an array", "transcripts must be an array"),
        ("transcripts", "transcripts must be an array", "transcripts must be an array"),
        ("runId", "Missing required field: runId", "Missing required field: runId"),
        ("a.b", "nested deeper", "a.b: nested deeper"),
    ],
)
def test_messages_are_sentences_about_the_field(field: str, problem: str, message: str) -> None:
    assert sentence(field, problem) == message
    assert error_object(InvalidTask(field, problem))["message"] == message


def test_logs_are_json_lines_with_level_message_and_time_and_hold_no_text_of_the_conversation() -> None:
    with scripted_server() as server:
        server.answer = lambda asked: "Rating: 4, said quietly"
        environ = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url, "LOG_LEVEL": "trace"}
        done = process("probe", PROBE, environ=environ)
    assert document_of(done)["success"] is True
    lines = log_lines(done)
    assert len(lines) == len(done.stderr.splitlines())
    assert [(line["level"], line["msg"]) for line in lines if line["context"] == "probe"] == [
        ("info", "Starting probe"),
        ("info", "done"),
    ]
    assert lines[0]["runId"] == "run-1"
    assert all(line["ts"].endswith("Z") for line in lines)
    for text in (b"A trolley", b"quietly", b"You are careful", KEY.encode()):
        assert text not in done.stderr


def test_a_stopped_script_that_has_done_nothing_tells_the_reason_alone() -> None:
    error = stopped("The worker ran out of time", Context({}, 0.0))["error"]
    assert error == {"message": "The worker ran out of time", "code": "TIMEOUT", "retryable": True}


@pytest.mark.parametrize("path", ["src/worker/evaluation/door.py", "src/worker/__init__.py", *_DOORS])
def test_an_old_python_can_read_what_tells_it_that_it_is_old(path: str) -> None:
    ast.parse((ROOT / path).read_text(), feature_version=(3, 6))


RUN = {
    "runId": "r",
    "transcripts": [
        {
            "id": f"{model}-{number}",
            "modelId": model,
            "scenarioId": f"s{number}",
            "summary": {"score": number % 5 + 1},
            "scenario": {"name": f"S{number}", "dimensions": {"severity": number % 3}},
        }
        for model in ("openai:gpt-4", "b_vs_c")
        for number in range(12)
    ],
}


def test_a_run_is_analysed_and_its_report_written(tmp_path: Path) -> None:
    done = process("analyze_basic", RUN, arguments=["--html", "report.html"], cwd=tmp_path)
    document = document_of(done)
    assert document["analysis"]["perModel"]["openai:gpt-4"]["sampleSize"] == 12
    assert document["report"] == "report.html"
    assert "<html" in (tmp_path / "report.html").read_text()[:200]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--html"], "Usage: "),
        (["--pdf", "x"], "Usage: "),
        (["--html", "a", "b"], "Usage: "),
        (["--html=/nowhere/at/all"], "cannot be written"),
    ],
)
def test_arguments_that_cannot_be_used_are_the_callers_to_change(arguments: list[str], part: str) -> None:
    error = in_process("analyze_basic", RUN, arguments=arguments)["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert part in error["message"]


def test_the_analysis_imports_no_language_model() -> None:
    before = """
import os
real = os._exit
def leave(code):
    os.write(2, repr(sorted({"langchain_core", "pydantic", "asyncio"} & set(sys.modules))).encode())
    real(code)
os._exit = leave
"""
    done = started("analyze_basic", before, json.dumps(RUN).encode())
    assert document_of(done)["success"] is True
    assert done.stderr.endswith(b"[]")


@pytest.mark.parametrize("closed", ["2>&-", "0<&-", "0<&- 2>&-"])
def test_a_descriptor_that_the_caller_closed_changes_nothing(closed: str) -> None:
    script = ROOT / "workers" / "compute_token_stats.py"
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" "{script}" {closed}'], capture_output=True, input=b"", timeout=30
    )
    assert "No input" in document_of(done)["error"]["message"]


def test_a_log_that_nobody_reads_does_not_stop_the_answer() -> None:
    script = ROOT / "workers" / "compute_token_stats.py"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=writing, input=b"{", timeout=30)
    os.close(writing)
    assert done.returncode == 0
    assert b"Invalid JSON" in done.stdout
