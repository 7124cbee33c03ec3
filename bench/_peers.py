"""Where the peers live (see setup_peers) and whether they are there."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
INSTALL = "python -m bench.setup_peers"


@dataclass(frozen=True)
class Environment:
    """A virtual environment. `requirements` is what belongs into it."""

    path: Path
    requirements: Path

    @property
    def python(self) -> Path:
        return self.path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def shown(self) -> str:
        return str(self.path.relative_to(ROOT))

    def has(self, package: str) -> bool:
        """Whether a top-level module is installed; looked up without starting the interpreter."""
        return any(self.path.glob(f"lib*/python*/site-packages/{package}"))


PEERS = Environment(HERE / ".venv", HERE / "requirements-peers.txt")
TASKIQ = Environment(HERE / ".venv" / "taskiq", HERE / "requirements-peers-taskiq.txt")
BULLMQ = HERE / ".venv" / "bullmq"
BULLMQ_SOURCE = HERE / "bullmq"


def node() -> str | None:
    """Node's command when BullMQ is installed for it."""
    found = shutil.which("node")
    return found if found and (BULLMQ / "node_modules" / "bullmq").is_dir() else None
