"""`keys`: make a key for the HTTP service, or list those of the file WORKER_API_KEYS_FILE."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ..access import FILE_BYTES_MAX, NAME, AccessKey, BrokenKeys, Role, expiry, key_of, new_secret, read_keys
from ..config import load_settings
from ..times import iso
from . import EXIT_OK, EXIT_PROBLEM, CommandProblem, note
from .tables import show

_DAYS_MAX: Final = 3_650


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="make a key: it is shown this once; the line is for the file")
    new.add_argument("--name", required=True, metavar="NAME", help="whose it is, as logs will say")
    new.add_argument("--role", required=True, choices=[role.value for role in Role], help="what it may do")
    until = new.add_mutually_exclusive_group()
    until.add_argument("--expires", metavar="TIME", help="ISO 8601, e.g. 2027-01-31 (UTC)")
    until.add_argument("--days", type=int, metavar="N", help="good for N days from now")
    new.add_argument("--json", action="store_true", help="one JSON object on standard output")
    shown = actions.add_parser("list", help="the keys of a file: names, roles, expiries; exit 1 when it cannot be used")
    shown.add_argument("--file", type=Path, metavar="FILE", help="instead of WORKER_API_KEYS_FILE")
    shown.add_argument("--json", action="store_true", help="one JSON array on standard output")


def run(arguments: argparse.Namespace) -> int:
    now = datetime.now(UTC)
    return _new(arguments, now) if arguments.action == "new" else _list(arguments, now)


def _new(arguments: argparse.Namespace, now: datetime) -> int:
    if not NAME.fullmatch(arguments.name):
        raise CommandProblem("--name: must be 1 to 64 letters, digits or . _ -, the first a letter or digit")
    secret = new_secret()
    key = key_of(arguments.name, Role(arguments.role), secret, _expiry(arguments, now))
    if arguments.json:
        print(json.dumps({"key": secret, "line": key.line()}))
        return EXIT_OK
    note("The key, shown this once; send it as X-API-Key:")
    print(secret)
    note("Its line for the file of WORKER_API_KEYS_FILE; running workers read it within seconds:")
    print(key.line())
    return EXIT_OK


def _expiry(arguments: argparse.Namespace, now: datetime) -> datetime | None:
    if arguments.days is not None:
        if not 1 <= arguments.days <= _DAYS_MAX:
            raise CommandProblem(f"--days: must be from 1 to {_DAYS_MAX:,}")
        return now + timedelta(days=arguments.days)
    if arguments.expires is None:
        return None
    when = expiry(arguments.expires)
    if when is None or when <= now:
        raise CommandProblem("--expires: must be a time to come, such as 2027-01-31 or 2027-01-31T12:00:00Z")
    return when


def _list(arguments: argparse.Namespace, now: datetime) -> int:
    file = arguments.file or load_settings().worker_api_keys_file
    if file is None:
        raise CommandProblem("no file of keys: set WORKER_API_KEYS_FILE, or name one with --file")
    try:
        with file.open("rb") as stream:
            keys = read_keys(stream.read(FILE_BYTES_MAX + 1))
    except OSError as error:
        raise CommandProblem(f"{file}: cannot be read ({error.strerror or error})") from error
    except BrokenKeys as error:
        raise CommandProblem(f"{file}: {error.message}") from error
    rows = [_row(key, now) for key in keys]
    if arguments.json:
        print(json.dumps(rows))
    else:
        cells = [(row["name"] or "", row["role"] or "", row["expires"] or "never", row["state"] or "") for row in rows]
        show(cells, header=("name", "role", "expires", "state"), title="API keys")
    return EXIT_PROBLEM if all(key.expired(now) for key in keys) else EXIT_OK


def _row(key: AccessKey, now: datetime) -> dict[str, str | None]:
    return {
        "name": key.name,
        "role": key.role.value,
        "expires": None if key.expires is None else iso(key.expires),
        "state": "expired" if key.expired(now) else "good",
    }
