"""Two thousand mutated inputs per script: always one document, no fault of ours, no traceback, no key."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from src.worker.evaluation.scripts import SCRIPTS

from .eval_helpers import PROBE, SUMMARIZE, document_of, in_process, process

SECRET = "sk-fuzz-" + "0123456789abcdef"
INPUTS = 2_000
PROCESSES = 20
_READING = sorted(name for name, script in SCRIPTS.items() if script.reads_input)

SEEDS: dict[str, list[dict[str, Any]]] = {
    # No provider has a key here, so what is well formed ends with MISSING_API_KEY and nothing is ever sent.
    "probe": [PROBE, {**PROBE, "modelConfig": {"temperature": 1, "maxTokens": 5}}],
    "summarize": [SUMMARIZE, {"transcripts": [SUMMARIZE, {**SUMMARIZE, "transcriptId": "t-2"}]}],
    "analyze_basic": [
        {
            "runId": "r",
            "transcripts": [
                {
                    "id": f"{model}{scenario}",
                    "modelId": model,
                    "scenarioId": f"s{scenario}",
                    "summary": {"score": scenario % 5 + 1, "values": {"safety": "prioritized"}},
                    "scenario": {"name": f"S{scenario}", "dimensions": {"severity": scenario % 3, "kind": "x"}},
                }
                for model in ("a:b", "c")
                for scenario in range(6)
            ],
        },
        {"runId": "r", "transcriptIds": ["a", "b"]},
    ],
    "compute_token_stats": [
        {
            "runId": "r",
            "definitionId": "d",
            "probeResults": [{"modelId": "m", "inputTokens": 3, "outputTokens": 4}],
            "existingStats": {"m": {"avgInputTokens": 1.5, "avgOutputTokens": 2, "sampleCount": 3}},
        }
    ],
    "generate_scenarios": [
        {
            "definitionId": "d",
            "seed": 4,
            "content": {
                "template": "1. [Stakes]\n[Stakes_Score2] [Kind]",
                "preamble": "p",
                "dimensions": [
                    {"name": "Stakes", "levels": [{"score": 1, "label": "low", "options": ["a", "b"]}, {"score": 2}]},
                    {"name": "Kind", "values": ["x", "y"]},
                ],
            },
        }
    ],
}
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        10**400,
        -0.0,
        "",
        " ",
        "5",
        "four",
        "\ud800",
        "\x00",
        "😀" * 50,
        "a" * 5000,
    ),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": {}}}, [1, "x", {}], SECRET, "__class__", "[Stakes]", "\\1"),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container and key of a document."""
    if isinstance(value, dict | list):
        for key, child in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(child)


def _mutated(document: Any, rng: random.Random) -> Any:
    out = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        places = list(_places(out))
        if not places:
            return rng.choice(_VALUES)
        container, key = rng.choice(places)
        action = rng.random()
        if action < 0.65:
            container[key] = copy.deepcopy(rng.choice(_VALUES))
        elif action < 0.85:
            del container[key]
        elif isinstance(container, list):
            container.extend(copy.deepcopy(container[:3]))
        else:
            container[rng.choice(("x", "", "__proto__", "transcripts", "runId"))] = copy.deepcopy(rng.choice(_VALUES))
    return out


def _bytes(script: str, rng: random.Random) -> bytes:
    raw = json.dumps(_mutated(rng.choice(SEEDS[script]), rng)).encode()
    action = rng.random()
    if action < 0.85:
        return raw
    if action < 0.9:
        return raw[: rng.randrange(len(raw) + 1)]
    if action < 0.95:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    return rng.choice((b"", b"null", b"[]", b"NaN", b'{"a": Infinity}', b"\xff\xfe", b'"x"', b"{" * 2000, b"1" * 6000))


def _check(document: dict[str, Any], shown: str) -> None:
    assert isinstance(document["success"], bool)
    assert SECRET not in shown
    assert "Traceback" not in shown
    if document["success"]:
        return
    error = document["error"]
    assert {"message", "code", "retryable"} <= set(error) <= {"message", "code", "retryable", "details"}
    assert error["code"] in ("VALIDATION_ERROR", "MISSING_API_KEY", "UNSUPPORTED_PROVIDER", "BATCH_PARTIAL_FAILURE"), (
        error
    )
    assert error["retryable"] is False
    for item in document.get("summaries", []):
        assert item["success"] or item["error"]["code"] != "UNKNOWN", item


@pytest.fixture
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI", "ANTHROPIC", "GOOGLE", "GEMINI", "XAI", "DEEPSEEK", "MISTRAL", "GROQ", "NVIDIA"):
        monkeypatch.delenv(f"{name}_API_KEY", raising=False)


def _cheaply(script: str) -> Callable[[bytes], dict[str, Any]]:
    environ = {"SOME_API_KEY": SECRET}
    return lambda raw: in_process(script, raw, environ)


@pytest.mark.timeout(180)  # 2,000 of them take a busy machine longer than others' minute
@pytest.mark.usefixtures("_no_keys")
@pytest.mark.parametrize("script", _READING)
def test_two_thousand_mutated_inputs_give_two_thousand_documents(script: str) -> None:
    rng = random.Random(f"{script} 1")
    run = _cheaply(script)
    codes: dict[str, int] = {}
    for _ in range(INPUTS):
        document = run(_bytes(script, rng))
        _check(document, json.dumps(document))
        code = "success" if document["success"] else document["error"]["code"]
        codes[code] = codes.get(code, 0) + 1
    print(script, codes)
    assert len(codes) >= 2


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_mutated_inputs_to_real_processes(script: str) -> None:
    rng = random.Random(f"{script} 2")
    count = PROCESSES if script not in ("probe", "summarize") else PROCESSES // 2
    for _ in range(count):
        raw = _bytes(script, rng) if script in SEEDS else rng.randbytes(100)
        done = process(script, raw, environ={"SOME_API_KEY": SECRET})
        document = document_of(done)
        _check(document, done.stdout.decode())
        assert b"Traceback" not in done.stderr
        assert SECRET.encode() not in done.stderr
