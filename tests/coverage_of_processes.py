"""A plugin of `make coverage`: the processes that tests start are measured, although tests clean their environment."""

from __future__ import annotations

import os
import subprocess
from typing import Any

_SETTING = "COVERAGE_PROCESS_CONFIG"
"""How coverage's `patch = ["subprocess"]` reaches a process; set while this one is measured."""


def pytest_configure() -> None:
    started = subprocess.Popen.__init__

    def start(self: Any, *arguments: Any, **options: Any) -> None:
        if options.get("env") is not None and _SETTING in os.environ:
            options["env"] = {**options["env"], _SETTING: os.environ[_SETTING]}
        started(self, *arguments, **options)

    subprocess.Popen.__init__ = start  # type: ignore[method-assign]
