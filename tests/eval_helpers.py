"""What the tests of the evaluation workers share: inputs, a scripted model, and scripts as processes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.worker.evaluation.protocol import Context, answer
from src.worker.evaluation.scripts import SCRIPTS
from src.worker.llm.errors import LLMError
from src.worker.llm.exchange import Purpose, Reply, Request, Stop, Target, Usage

ROOT = Path(__file__).resolve().parent.parent
KEY = "sk-test-0123456789abcdef"
TARGET = Target("openai", "gpt-4o-mini")

PROBE: dict[str, Any] = {
    "runId": "run-1",
    "scenarioId": "scenario-1",
    "modelId": "gpt-4o-mini",
    "scenario": {
        "preamble": "You are careful.",
        "prompt": "A trolley runs.",
        "followups": [{"label": "why", "prompt": "Why?"}, {"prompt": "Are you sure?"}],
    },
    "config": {"temperature": 0.7, "maxTokens": 100, "maxTurns": 10},
    "modelCost": {"costInputPerMillion": 3.0, "costOutputPerMillion": 15.0},
}
SUMMARIZE: dict[str, Any] = {
    "transcriptId": "t-1",
    "modelId": "openai:gpt-4o-mini",
    "transcriptContent": {"turns": [{"probePrompt": "Choose.", "targetResponse": "I would choose 4."}]},
}


def changed(document: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field (`a.b`) set."""
    out = copy.deepcopy(dict(document))
    *parents, last = path.split(".")
    place = out
    for name in parents:
        place = place[name]
    place[last] = value
    return out


def without(document: Mapping[str, Any], path: str) -> dict[str, Any]:
    out = copy.deepcopy(dict(document))
    *parents, last = path.split(".")
    place = out
    for name in parents:
        place = place[name]
    del place[last]
    return out


def reply(text: str, **changes: Any) -> Reply:
    fields: dict[str, Any] = {"stop": Stop.COMPLETE, "usage": Usage(10, 5), "served_model": "served-1", "seconds": 0.25}
    return Reply(TARGET, text, **{**fields, **changes})


class ScriptedModel:
    """Gives the answers it was made with, one per question; an error is raised. Keeps what it was asked."""

    def __init__(self, *answers: str | Reply | LLMError) -> None:
        self._answers = list(answers)
        self.asked: list[Request] = []
        self.purposes: list[Purpose] = []

    async def ask(self, request: Request, *, deadline: float, purpose: Purpose) -> Reply:
        self.asked.append(request)
        self.purposes.append(purpose)
        found = self._answers.pop(0)
        if isinstance(found, LLMError):
            raise found
        return reply(found) if isinstance(found, str) else found


def in_process(
    script: str, payload: Any, environ: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> dict[str, Any]:
    """One answer by the function that the process calls. `payload`: bytes as they come, or a document."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    document = answer(SCRIPTS[script], raw, Context(environ or {}, time.monotonic() + 20, tuple(arguments)))
    return json.loads(json.dumps(document, allow_nan=False))  # type: ignore[no-any-return]


def process(
    script: str,
    payload: Any = b"{}",
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
    python: str = sys.executable,
    arguments: Sequence[str] = (),
) -> subprocess.CompletedProcess[bytes]:
    """The script as the orchestrator starts it: no PYTHONPATH, some directory."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return subprocess.run(
        [python, str(ROOT / "workers" / f"{script}.py"), *arguments],
        input=raw,
        capture_output=True,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **(environ or {})},
        timeout=50,
        check=False,
    )


def document_of(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The one strict JSON document of a process that ended well."""
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    lines = done.stdout.decode("ascii").splitlines()
    assert len(lines) == 1, done.stdout[:500]

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads(lines[0], parse_constant=refuse)
    return found


def log_lines(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.decode().splitlines() if line.startswith("{")]


Answering = Callable[[Any], Any]
