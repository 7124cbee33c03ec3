"""Real processes, real SIGKILLs: a janitor that dies anywhere leaves nothing lost and nothing counted twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tests.archive_helpers import Bench, days_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent
_MENTIONS = 5_000
_KILLS = 20
_ONE_RUN = """
import asyncio, sys
from pathlib import Path
from tests.archive_helpers import Bench

async def main() -> None:
    bench = await Bench.open(sys.argv[1], Path(sys.argv[2]))
    print("began", flush=True)
    await bench.archive(part_mentions=200)
    bench.close()

asyncio.run(main())
"""


@pytest.fixture
async def bench(mongo_uri: str, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await Bench.open(mongo_uri, tmp_path / "archive")
    yield bench
    bench.close()


def _janitor(uri: str, directory: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _ONE_RUN, uri, str(directory)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    assert process.stdout.readline() == b"began\n"
    return process


@pytest.mark.timeout(300)
async def test_killed_twenty_times_at_random_points_nothing_is_lost_or_counted_twice(
    bench: Bench, mongo_uri: str
) -> None:
    sent = await bench.put(days_of(_MENTIONS, days=5))
    figures = await bench.figures()
    rng = Random(9)
    died_at_work = 0
    for kill in range(_KILLS):
        process = _janitor(mongo_uri, bench.directory)
        time.sleep(rng.uniform(0.0, 0.5))
        died_at_work += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(20)
        process.stdout.close()  # type: ignore[union-attr]
        if kill % 5 == 0:
            assert await bench.figures() == figures
            assert set(bench.archived()) | set((await bench.hot()).values()) == set(sent.values())
    assert died_at_work >= _KILLS // 2, "kills after the work was done prove nothing"
    last = _janitor(mongo_uri, bench.directory)
    assert last.wait(120) == 0
    last.stdout.close()  # type: ignore[union-attr]
    assert await bench.hot() == {}
    assert set(bench.archived()) == set(sent.values())
    assert await bench.stones() == _MENTIONS
    assert await bench.figures() == figures
    for number in range(1, 6):
        await bench.restorer().restore("acme", f"2026-02-{number:02}")
    assert await bench.hot() == sent
    assert await bench.figures() == figures
