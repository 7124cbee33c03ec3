"""Follow README and tutorial as they stand, then run every example; say how long each step took and what failed.

Run by tests/newcomer/run.sh from the root of a fresh clone, with the standard library alone.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import pages

ROOT: Final = Path.cwd()
RUN: Final = "make run"
PATIENCE: Final = 900.0
"""Seconds for one step: the first start installs packages."""
SILENCE: Final = 20.0
"""A newcomer who sees nothing for so many seconds believes that nothing happens."""
HOW_TO: Final = ("add-a-provider", "evaluate-a-model", "hand-out-keys")
"""Pages all of whose commands can be run as they stand: others need a second server, a tool or an id of one's own."""
FOLDED: Final = 10
"""Times to look again at what is `counted some seconds later`, two seconds apart."""


class Report:
    def __init__(self) -> None:
        self.failed: list[str] = []
        self.skipped: list[str] = []

    def said(self, ok: bool, what: str, seconds: float, why: str = "") -> None:
        line = " ".join(what.split())
        print(f"{'ok  ' if ok else 'FAIL'} {seconds:6.1f} s  {line[:110]}", flush=True)
        if not ok:
            print("\n".join(f"       {one}" for one in why.splitlines()[-25:]), flush=True)
            self.failed.append(line[:110])


class Worker:
    """`make run` in a terminal of its own."""

    def __init__(self, report: Report, environment: dict[str, str]) -> None:
        self._report, self._environment = report, environment
        self.redis_url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        begun = time.monotonic()
        self._process = subprocess.Popen(
            RUN.split(),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, args=(self._process, lines), daemon=True).start()
        shown, silent, last = "", 0.0, begun
        while not re.search(r"^try ", shown, re.MULTILINE):
            try:
                line = lines.get(timeout=1)
                shown += line
                print(f"     {time.monotonic() - begun:6.1f} s  | {line.rstrip()[:100]}", flush=True)
                silent, last = max(silent, time.monotonic() - last), time.monotonic()
            except queue.Empty:
                if self._process.poll() is not None or time.monotonic() - begun > PATIENCE:
                    break
        taken = time.monotonic() - begun
        found = re.search(r"^redis +(\S+)", shown, re.MULTILINE)
        self.redis_url = found[1] if found else ""
        self._report.said(found is not None, RUN, taken, shown)
        if found is None:
            raise SystemExit(1)
        print(f"               longest silence {silent:.1f} s")
        if silent > SILENCE:
            self._report.said(False, f"{RUN} says where it is", taken, f"{silent:.0f} s without a word")
        first = next(line for line in shown.splitlines() if line.startswith("try "))
        run_commands(self._report, first.removeprefix("try").strip(), self._environment)

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        for line in process.stdout or ():
            lines.put(line)

    def stop(self) -> None:
        """Ctrl-C: the terminal sends it to everything in its foreground."""
        if self._process is None or self._process.poll() is not None:
            return
        begun = time.monotonic()
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._report.said(False, "Ctrl-C", time.monotonic() - begun, "still there after a minute")
            return
        self._report.said(True, "Ctrl-C", time.monotonic() - begun)


def run_commands(report: Report, commands: str, environment: dict[str, str], step: pages.Step | None = None) -> None:
    """One block, in a shell that stops at the first command that fails; then what it printed beside what is shown."""
    begun = time.monotonic()
    for attempt in range(FOLDED):
        ended = subprocess.run(
            ["bash", "-c", f"set -eE -o pipefail\n{commands}"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
        problem = None if ended.returncode == 0 else f"exit code {ended.returncode}"
        for shown in step.shown if step else ():
            line = pages.missing(shown, ended.stdout)
            problem = problem or (line and f"not printed: {line}")
        for document in step.documents if step else ():
            problem = problem or pages.differs(document, ended.stdout)
        if problem is None or "brands" not in commands or attempt == FOLDED - 1:
            break
        time.sleep(2)
    title = (step.commands if step else commands).strip().splitlines()[0]
    report.said(problem is None, title, time.monotonic() - begun, f"{ended.stdout}\n{problem}")


def follow(report: Report, page: Path, environment: dict[str, str]) -> None:
    """All blocks in order. A shell function that one defines is there in those that follow, as in one terminal."""
    print(f"\n== {page.relative_to(ROOT)}", flush=True)
    functions = ""
    for step in pages.steps(page):
        if step.commands.split("#")[0].strip() == RUN:
            continue  # it runs in the other terminal already
        run_commands(report, functions + step.commands, environment, step)
        functions += "".join(re.findall(r"^\w+\(\) \{.*\}\n", step.commands, re.MULTILINE))


def examples(report: Report, environment: dict[str, str]) -> None:
    print("\n== examples/producers", flush=True)
    ways = {
        "producer.py": ("python3", "{file}"),
        "producer.mts": (f"{os.environ['NEWCOMER_NODE']}/node", "{file}"),
        "producer.mjs": (f"{os.environ['NEWCOMER_NODE']}/node", "{file}"),
        "producer.go": (f"{os.environ['NEWCOMER_GO']}/go", "run {file}"),
        "producer.sh": ("sh", "{file}"),
    }
    for file in sorted((ROOT / "examples" / "producers").iterdir()):
        program, words = ways[file.name]
        if "/" in program and not Path(program).exists():
            report.skipped.append(f"{file.name}: {program} is not there")
            continue
        relative = file.relative_to(ROOT)
        run_commands(report, f"'{program}' {words.format(file=relative)} | grep '\"succeeded\"'", environment)


def free_port() -> str:
    """8000, as the pages say, or another one where that is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 8000))
        except OSError:
            probe.bind(("127.0.0.1", 0))
            print(f"port 8000 is taken: HTTP_PORT={probe.getsockname()[1]}, and pages are read with that number")
        return str(probe.getsockname()[1])


def untracked() -> set[str]:
    """What git shows as neither known nor ignored: a newcomer's `git status` shall stay clean."""
    shown = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=False).stdout
    return {line[3:] for line in shown.splitlines() if line.startswith("??")}


def main() -> int:
    report = Report()
    before = untracked()
    port = free_port()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if port != "8000":
        environment |= {"HTTP_PORT": port, "WORKER_URL": f"http://127.0.0.1:{port}"}
        for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
            page.write_text(page.read_text("utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{port}"), "utf-8")
    worker = Worker(report, environment)
    try:
        worker.start()
        follow(report, ROOT / "README.md", environment)
        worker.stop()
        # What the tutorial asks for after README's commands.
        run_commands(report, "mv data data-before", environment)
        worker.start()
        follow(report, ROOT / "docs" / "tutorial.md", environment)
        for name in HOW_TO:
            follow(report, ROOT / "docs" / "how-to" / f"{name}.md", environment)
        examples(report, {**environment, "REDIS_URL": worker.redis_url})
    finally:
        worker.stop()
    print("\n== afterwards", flush=True)
    left = untracked() - before
    report.said(not left, "nothing is left that git does not ignore", 0.0, "\n".join(sorted(left)))
    for one in report.skipped:
        print(f"skipped: {one}")
    print(f"{len(report.failed)} failed" if report.failed else "all as the pages say")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
