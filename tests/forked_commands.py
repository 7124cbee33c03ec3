"""Runs commands of the worker, each in a process of its own with an environment of its own, for one start's time:
a process that has loaded the code forks for each of them.

Standard input: `{name: {"env": {…}, "module": "src.worker.cli", "argv": […]}}`; output: `{name: what it printed}`.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from typing import Any, BinaryIO


def _child(job: dict[str, Any], output: BinaryIO) -> None:
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(job["env"])
    try:
        print("exit code", importlib.import_module(job["module"]).main(job["argv"]), flush=True)
    except BaseException:  # what Python itself would print
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    jobs: dict[str, dict[str, Any]] = json.load(sys.stdin)
    for job in jobs.values():
        importlib.import_module(job["module"])
    said: dict[str, str] = {}
    for name, job in jobs.items():
        with tempfile.TemporaryFile() as output:
            pid = os.fork()
            if pid == 0:
                _child(job, output)
            os.waitpid(pid, 0)
            output.seek(0)
            said[name] = output.read().decode()
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
