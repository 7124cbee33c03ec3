"""health_check: is this Python fit to run the other workers? No network and nothing imported but the standard library:
the orchestrator allows ten seconds once and remembers a refusal for the life of its process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, Final

from .compat.errors import ErrorCode
from .environment import KEY_VARIABLES, api_key

OLDEST_PYTHON: Final = (3, 11)
"""The specification asks for 3.10; the package is written for 3.11."""

REQUIRED: Final = ("requests", "pyyaml", "orjson", "pydantic-settings", "langchain-core")
"""The specification's two, and what probe and summarize cannot start without."""
OPTIONAL: Final = ("numpy", "scipy", "tiktoken")
"""numpy and scipy: analyze_basic; tiktoken: exact token counts."""

Version = Callable[[str], str | None]


def installed_version(package: str) -> str | None:
    """The version of an installed distribution, None when there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def check_health(
    environ: Mapping[str, str],
    *,
    python: Sequence[int] = tuple(sys.version_info[:3]),
    version: Version = installed_version,
) -> dict[str, Any]:
    """The whole document. Not a success when another worker could not start: `error` says why, beside `health`."""
    health = _health(environ, python, version)
    problem: str | None = None
    details: dict[str, Any] = {}
    missing = [name for name in REQUIRED if name not in health["packages"]]
    if tuple(python[:2]) < OLDEST_PYTHON:
        problem = f"Python {'.'.join(map(str, OLDEST_PYTHON))} or later is needed, this is {health['pythonVersion']}"
        details = {"pythonVersion": health["pythonVersion"]}
    elif missing:
        problem = f"Required packages are not installed: {', '.join(missing)}"
        details = {"packages": missing, "install": f"python -m pip install {' '.join(missing)}"}
    if problem is None:
        return {"success": True, "health": health}
    error = {"message": problem, "code": str(ErrorCode.VALIDATION_ERROR), "retryable": False, "details": details}
    return {"success": False, "error": error, "health": health}


def _health(environ: Mapping[str, str], python: Sequence[int], version: Version) -> dict[str, Any]:
    found = {name: version(name) for name in (*REQUIRED, *OPTIONAL)}
    keys = {provider: api_key(environ, provider) is not None for provider in KEY_VARIABLES}
    warnings = [f"Required package '{name}' not installed" for name in REQUIRED if found[name] is None]
    for names, worker in ((("numpy", "scipy"), "analyze_basic cannot run"), (("tiktoken",), "tokens are estimated")):
        warnings += [f"Optional package '{name}' not installed: {worker}" for name in names if found[name] is None]
    if not any(keys.values()):
        warnings.append("No LLM API keys configured: set at least one, e.g. ANTHROPIC_API_KEY")
    return {
        "pythonVersion": ".".join(str(part) for part in python[:3]),
        "packages": {name: text for name, text in found.items() if text is not None},
        "apiKeys": keys,
        "warnings": warnings,
    }
