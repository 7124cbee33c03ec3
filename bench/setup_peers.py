"""`python -m bench.setup_peers`: install what the queue is compared with, away from the service's own environment.

    bench/.venv          the Python libraries of requirements-peers.txt
    bench/.venv/taskiq   those of requirements-peers-taskiq.txt, which need another redis-py
    bench/.venv/bullmq   BullMQ through npm, where Node is there

May be repeated; what is there already is kept. Exit code 1 when something could not be installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

from bench import _peers


def _python(environment: _peers.Environment) -> bool:
    print(f"installing {environment.requirements.name} into {environment.shown}", flush=True)
    if not environment.python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment.path)], check=True)
    pip = [str(environment.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--prefer-binary"]
    return subprocess.run([*pip, "-r", str(environment.requirements)], check=False).returncode == 0


def _bullmq() -> bool:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        print("left out: BullMQ (node and npm are not installed)")
        return True
    _peers.BULLMQ.mkdir(parents=True, exist_ok=True)
    shutil.copy(_peers.BULLMQ_SOURCE / "package.json", _peers.BULLMQ)
    print("installing bullmq/package.json into bench/.venv/bullmq", flush=True)
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
    return subprocess.run([npm, "install", *quiet], cwd=_peers.BULLMQ, check=False).returncode == 0


def main() -> int:
    done = [_python(environment) for environment in (_peers.PEERS, _peers.TASKIQ)]
    done.append(_bullmq())
    print("ready: python -m bench queue" if all(done) else "not everything could be installed, see above")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
