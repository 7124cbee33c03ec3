"""What our loop adds to a model call, what providers cost in memory, and whether calls leak.

CPU is that of the calling process, user and system, per call: 300 calls one after the other against a server in another
process, ChatOpenAI alone and our adapter (redaction, tokens, breaker, place, price, ledger record) in turns, medians
of 7. Memory: resident size of a process that has imported the service, then used gemini, openai and groq
twenty times each, then called openai 5,000 times. Event loop: a process that has imported nothing yet connects to a
provider and asks once, while its event loop looks every millisecond how late it is; the latest it ever was, the best of
up to five processes, as other programs can only add to it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench._machine import wait_for_quiet
from bench._report import Figure, Report, at_most
from src.worker.llm.providers import PROVIDERS

ADDED_MS = 0.5
THREE_MB = 170.0
LEAK_MB = 10.0
LAG_MS = 20.0
LAG_TRIES = 5
CALLS = 300
ROUNDS = 7
MANY = 5_000


@contextmanager
def server() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench._llm_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(5)


def main(quick: bool = False) -> Report:
    report = Report("llm", quick, " ".join((__doc__ or "").split()))
    rounds, many = (3, 500) if quick else (ROUNDS, MANY)
    with server() as port:
        wait_for_quiet([])
        cpu = child("cpu", port, rounds)
        ours, alone = cpu["ours"], cpu["langchain"]
        report.details["cpu_ms"] = cpu
        mine, theirs = statistics.median(ours), statistics.median(alone)
        report.add(Figure("llm.cpu.langchain_alone", theirs, "ms/call"))
        report.add(Figure("llm.cpu.our_loop", mine, "ms/call", {"of LangChain's alone": mine / theirs}))
        report.add(Figure("llm.cpu.added", mine - theirs, "ms/call", wanted=at_most(mine - theirs, ADDED_MS)))
        memory = child("memory", port, many)
        report.details["memory_mb"] = memory
        for number, provider in enumerate(PROVIDERS):
            lag = least_lag(provider, number, port, report)
            report.add(Figure(f"llm.loop_lag.{provider}", lag, "ms at most", wanted=at_most(lag, LAG_MS)))
    report.add(Figure("llm.memory.imported", memory["imported"], "MB", note=f"LangChain loaded: {memory['loaded']}"))
    report.add(Figure("llm.memory.adapter_built", memory["built"] - memory["imported"], "MB more, no provider used"))
    report.add(Figure("llm.memory.three_providers", memory["three"], "MB", wanted=at_most(memory["three"], THREE_MB)))
    grown = memory["many"] - memory["three"]
    report.add(Figure(f"llm.memory.after_{many}_calls", grown, "MB more", wanted=at_most(grown, LEAK_MB)))
    return report


def least_lag(provider: str, number: int, port: int, report: Report) -> float:
    """Of as many processes as it takes to find one that is fast enough."""
    lags: list[float] = []
    while len(lags) < LAG_TRIES and not (lags and lags[-1] <= LAG_MS):
        lags.append(child("lag", port, number)["most"])
    report.details.setdefault("loop_lag_ms", {})[provider] = lags
    return min(lags)


def child(what: str, port: int, count: int) -> dict[str, Any]:
    """Measure in a fresh process: memory and imports are a process's own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.llm", what, str(port), str(count)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{what}: {done.stderr[-2000:]}")
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


# -- in the child ------------------------------------------------------------------------------------------------


class Nothing:
    """A recorder that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def record(self, attempt: Any) -> None:
        self.count += 1


def adapter(port: int) -> Any:
    from src.worker.config import load_settings
    from src.worker.llm.budget import Unlimited
    from src.worker.llm.price_files import load_prices
    from src.worker.llm_adapter import LLMAdapter

    url = f"http://127.0.0.1:{port}"
    settings = load_settings(
        _env_file=None,
        llm_provider="openai,gemini,groq",
        **{
            f"{name}_{what}": value
            for name in ("openai", "gemini", "groq")
            for what, value in (("api_key", "k"), ("base_url", url))
        },
    )
    return LLMAdapter(settings, recorder=Nothing(), money=load_prices(None), budget=Unlimited())


def question() -> Any:
    from src.worker.llm.exchange import Message, Request, Role

    system = "You judge public mentions of a brand. Answer with one word."
    text = "Flight delayed again, third time this week. Thanks for nothing, see you never."
    return Request((Message(Role.SYSTEM, system), Message(Role.USER, text)), max_tokens=20, temperature=0.0)


async def ask(llm: Any, request: Any, provider: str | None = None) -> None:
    from src.worker.llm.exchange import Purpose
    from src.worker.llm_adapter import text_of

    targets = tuple(one for one in llm.targets if provider in (None, one.provider))
    purpose = Purpose("bench", "acme", "1", "0" * 64)
    await llm.ask(
        await llm._prepared(request), purpose=purpose, deadline=time.monotonic() + 30, targets=targets, check=text_of
    )


async def cpu(port: int, rounds: int) -> dict[str, list[float]]:
    from langchain_openai import ChatOpenAI

    llm, request = adapter(port), question()
    alone = ChatOpenAI(model="gpt-4o-mini", api_key="k", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    messages = [(message.role.value, message.text) for message in request.messages]

    async def ours() -> None:
        await ask(llm, request, "openai")

    async def theirs() -> None:
        await alone.ainvoke(messages, temperature=0.0, max_tokens=20)

    out: dict[str, list[float]] = {"ours": [], "langchain": []}
    for one in range(rounds + 1):
        for name, call in (("langchain", theirs), ("ours", ours)):
            began = time.process_time()
            for _ in range(CALLS):
                await call()
            if one:  # the first round warms both up
                out[name].append((time.process_time() - began) / CALLS * 1000)
    await llm.close()
    return out


async def memory(port: int, many: int) -> dict[str, Any]:
    import os

    import src.worker.app  # noqa: F401 - the service as it starts
    from bench._machine import rss_mb

    pid = os.getpid()
    out: dict[str, Any] = {"imported": rss_mb(pid), "loaded": any("langchain" in name for name in sys.modules)}
    llm, request = adapter(port), question()
    out["built"] = rss_mb(pid)
    for provider in ("gemini", "openai", "groq"):
        for _ in range(20):
            await ask(llm, request, provider)
    out["three"] = rss_mb(pid)
    for _ in range(many):
        await ask(llm, request, "openai")
    out["many"] = rss_mb(pid)
    await llm.close()
    return out


async def lag(port: int, number: int) -> dict[str, Any]:
    """For the provider of that number in PROVIDERS."""
    from src.worker.llm.exchange import Message, Request, Role
    from src.worker.llm.wire import connect

    row = list(PROVIDERS.values())[number]
    lags: list[float] = []

    async def look() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - before - 0.001)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.02)
    url = f"http://127.0.0.1:{port}/v1"
    wire = await connect(row, model=row.default_model, api_key="k", base_url=url)
    await wire.call(Request((Message(Role.USER, "Hi"),), max_tokens=5), timeout_sec=10)
    await asyncio.sleep(0.02)
    looking.cancel()
    await wire.close()
    return {"most": max(lags) * 1000}


if __name__ == "__main__":
    _, wanted, port_, count_ = sys.argv
    run = {"cpu": cpu, "memory": memory, "lag": lag}[wanted]
    print(json.dumps(asyncio.run(run(int(port_), int(count_)))))
