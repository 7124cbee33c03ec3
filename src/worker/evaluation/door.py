"""The way into the evaluation scripts: which Python runs them, and an answer in JSON when none can.

The orchestrator starts `python3 workers/<name>.py` with whatever `python3` it finds. Where that one is too old or lacks
a package and the repository has an environment of its own (`make setup`), the script goes on in that one: same process,
same standard input. Written for any Python 3, so that an old one can say that it is old; the door files put the
repository's root on `sys.path`, PYTHONPATH is not needed.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import NoReturn

OLDEST = (3, 11)
_LANGUAGE_MODELS = ("orjson", "pydantic_settings", "langchain_core")
NEEDS = {
    "probe": _LANGUAGE_MODELS,
    "summarize": _LANGUAGE_MODELS,
    "analyze_basic": ("orjson", "numpy", "scipy"),
    "health_check": (*_LANGUAGE_MODELS, "numpy", "scipy"),
    "compute_token_stats": ("orjson",),
    "generate_scenarios": ("orjson",),
}
"""What each script cannot do without. health_check reports on it, so it only looks for a better Python."""
_MARK = "WORKER_SCRIPT_PYTHON"
"""Set for the second Python, so that there is never a third."""
_STOPS = (signal.SIGTERM, signal.SIGINT)


def run(name: str) -> NoReturn:
    """Run one of the scripts; ends the process with 0 and one JSON document on standard output."""
    for number in _STOPS:  # imports take a while; `protocol` listens in its own way as soon as it is there
        signal.signal(number, _stopped)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)  # held back since the Python before this one
    try:
        lacking = _lacking(name)
        if lacking:
            _go_on_elsewhere()
            if sys.version_info < OLDEST or name != "health_check":
                _refuse(lacking)
        from .protocol import main
        from .scripts import SCRIPTS
    except ImportError as error:
        _refuse("Python package '{}' is not installed".format((error.name or str(error)).split(".")[0]))
    main(name, SCRIPTS[name], tuple(sys.argv[1:]))


def _lacking(name: str) -> str:
    """What is wrong with this Python, in words; empty when nothing is."""
    if sys.version_info < OLDEST:
        return "Python 3.11 or later is needed, this is {}.{}.{}".format(*sys.version_info[:3])
    missing = [package for package in NEEDS[name] if find_spec(package) is None]
    if not missing:
        return ""
    names = "', '".join(missing)
    return (
        f"Python package '{names}' is not installed" if len(missing) == 1 else f"Packages '{names}' are not installed"
    )


def _go_on_elsewhere() -> None:
    """Become the repository's own Python, if it has one and this is not it already."""
    here = os.path.abspath(__file__)
    root = here
    for _ in range(4):  # src/worker/evaluation/door.py
        root = os.path.dirname(root)
    python = os.path.join(root, ".venv", "bin", "python")
    same = os.path.realpath(sys.prefix) == os.path.realpath(os.path.join(root, ".venv"))
    if same or os.environ.get(_MARK) or not os.access(python, os.X_OK):
        return
    os.environ[_MARK] = python
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # who asks meanwhile is answered by the next Python
    os.execv(python, [python, *sys.argv])  # noqa: S606 - our own interpreter with the very words we were started with


def _refuse(problem: str) -> NoReturn:
    error = {
        "message": f"{problem}: run `make setup` in the repository",
        "code": "VALIDATION_ERROR",
        "retryable": False,
        "details": f"or `pip install -r requirements.txt` with Python 3.11 or later; this is {sys.executable}",
    }
    _say(error)


def _stopped(*_: object) -> None:
    _say({"message": "The worker was asked to stop before it began", "code": "TIMEOUT", "retryable": True})


def _say(error: "dict[str, object]") -> NoReturn:
    """The one document, and the end. Nobody can be told that standard output is closed."""
    with suppress(OSError):
        os.write(1, (json.dumps({"success": False, "error": error}) + "\n").encode("ascii"))
    os._exit(0)
