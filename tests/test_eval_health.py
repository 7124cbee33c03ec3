"""health_check says whether the other workers can run: fast, from the standard library alone, without the network."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from src.worker.evaluation.health import OPTIONAL, REQUIRED, check_health

from .eval_helpers import KEY, ROOT, document_of, process


def everything(package: str) -> str | None:
    return "1.0"


def lacking(*missing: str) -> Any:
    return lambda package: None if package in missing else "1.0"


def test_the_document_has_the_specifications_shape() -> None:
    document = check_health({"OPENAI_API_KEY": KEY}, python=(3, 11, 5), version=everything)
    assert document == {
        "success": True,
        "health": {
            "pythonVersion": "3.11.5",
            "packages": dict.fromkeys((*REQUIRED, *OPTIONAL), "1.0"),
            "apiKeys": {
                "openai": True,
                "anthropic": False,
                "google": False,
                "xai": False,
                "deepseek": False,
                "mistral": False,
            },
            "warnings": [],
        },
    }


@pytest.mark.parametrize("value", ["", "  "])
def test_a_blank_key_is_not_configured(value: str) -> None:
    assert check_health({"XAI_API_KEY": value}, version=everything)["health"]["apiKeys"]["xai"] is False


@pytest.mark.parametrize("name", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
def test_googles_key_has_two_names(name: str) -> None:
    assert check_health({name: KEY}, version=everything)["health"]["apiKeys"]["google"] is True


def test_no_key_at_all_is_a_warning() -> None:
    document = check_health({}, version=everything)
    assert document["success"] is True
    assert "No LLM API keys" in document["health"]["warnings"][0]


@pytest.mark.parametrize("package", REQUIRED)
def test_a_missing_required_package_is_no_success_and_is_named(package: str) -> None:
    document = check_health({"XAI_API_KEY": KEY}, version=lacking(package))
    assert document["success"] is False
    assert document["error"]["code"] == "VALIDATION_ERROR"
    assert document["error"]["retryable"] is False
    assert package in document["error"]["message"]
    assert document["health"]["warnings"] == [f"Required package '{package}' not installed"]
    assert package not in document["health"]["packages"]


@pytest.mark.parametrize("package", OPTIONAL)
def test_a_missing_optional_package_is_a_warning_that_says_what_suffers(package: str) -> None:
    document = check_health({"XAI_API_KEY": KEY}, version=lacking(package))
    assert document["success"] is True
    assert document["health"]["warnings"][0].startswith(f"Optional package '{package}' not installed: ")


def test_a_python_that_is_too_old_is_the_callers_to_change() -> None:
    document = check_health({}, python=(3, 9, 18), version=everything)
    assert (document["success"], document["error"]["code"]) == (False, "VALIDATION_ERROR")
    assert "3.9.18" in document["error"]["message"]


@pytest.mark.parametrize("raw", [b"", b"{}", b"garbage \xff", b"[1"])
def test_standard_input_does_not_matter(raw: bytes) -> None:
    assert document_of(process("health_check", raw))["success"] is True


def test_an_input_that_never_ends_does_not_hold_it_back() -> None:
    running = subprocess.Popen(
        [sys.executable, str(ROOT / "workers" / "health_check.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    began = time.monotonic()
    assert running.stdout is not None
    assert running.stdout.read().startswith(b'{"success": true')
    assert time.monotonic() - began < 30, "nobody ever ends the input"
    running.communicate()


def test_it_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); "
        "import os; from src.worker.evaluation import door, protocol, scripts, health; "
        "health.check_health(os.environ); "
        "print(sorted({'langchain_core', 'pydantic', 'asyncio', 'numpy', 'orjson', 'dotenv'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, text=True, check=True)
    assert done.stdout.strip() == "[]"
    seconds = min(_seconds() for _ in range(7))
    print(f"health_check: {seconds * 1000:.0f} ms of processor time")
    assert seconds < 0.2


def _seconds() -> float:
    """Processor time of one run: what other processes of the machine do does not count."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process("health_check")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
