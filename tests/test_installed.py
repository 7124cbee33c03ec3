"""Installed from its wheel the package is named `worker`: it runs under that name and has its data files with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "worker"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A directory with the package as site-packages have it, and nothing else of the repository."""
    (tmp_path / "worker").symlink_to(PACKAGE, target_is_directory=True)
    return tmp_path


def run(installed: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, timeout=50)


@pytest.mark.parametrize("module", ["worker.app", "worker.cli", "worker.janitor"])
def test_every_program_runs_under_the_installed_name(installed: Path, module: str) -> None:
    ended = run(installed, module, "--version")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_completion_of_an_installed_package_calls_the_installed_package(installed: Path) -> None:
    pytest.importorskip("shtab", reason="shtab, which writes completions, is not installed")
    ended = run(installed, "worker.cli", "completion", "bash")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f'worker() {{ {sys.executable} -m worker.cli "$@"; }}')


def test_every_file_of_the_package_goes_into_the_wheel() -> None:
    """Files that are no Python are taken by pattern; a new kind of file needs a new pattern."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    everywhere = set(data["*"])
    assert data["worker"] == ["dashboard/**/*"]
    dashboard = PACKAGE / "dashboard"
    left_out = [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and not path.is_relative_to(dashboard)
        and f"*{path.suffix}" not in everywhere
    ]
    assert left_out == []
