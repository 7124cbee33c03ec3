"""The keys of a running process: a file by a setting, exchanged without a restart, remembered in the audit log."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import httpx

from src.worker.access import Role, key_of
from tests.test_app import Service


def _status(service: Service, secret: str) -> int:
    return service.http.get("/v1/queue", headers={"x-api-key": secret}).status_code


def test_a_process_follows_its_file_of_keys(redis_url: str, mongo_uri: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    admin = key_of("admin", Role.OPERATE, "admins-secret")
    file.write_text(f"{admin.line()}\n{key_of('old', Role.READ, 'old-secret').line()}\n")
    service = Service(
        REDIS_URL=redis_url,
        MONGODB_URI=mongo_uri,
        WORKER_API_KEYS_FILE=str(file),
        HTTP_HOST="0.0.0.0",
    )
    try:
        service.wait_until_ready()
        with socket.create_connection(("127.0.0.2", int(service.port)), timeout=20):
            pass  # with keys it listens where it was told to
        assert (_status(service, "old-secret"), _status(service, "new-secret")) == (200, 401)
        file.write_text(f"{admin.line()}\n{key_of('new', Role.READ, 'new-secret').line()}\n")
        deadline = time.monotonic() + 40
        while _status(service, "new-secret") != 200:
            assert time.monotonic() < deadline, "the file was not read again"
            time.sleep(0.2)
        assert _status(service, "old-secret") == 401
        found: list[dict[str, object]] = []
        while not found:
            assert time.monotonic() < deadline, "no record of the change"
            audit: httpx.Response = service.http.get("/v1/audit", headers={"x-api-key": "admins-secret"})
            found = [one for one in audit.json()["items"] if one["action"] == "keys.reload"]
        assert found[0]["details"] == {"added": ["new"], "removed": ["old"], "changed": [], "keys": 2}
    finally:
        code, out, err = service.end()
    assert code == 0
    assert not [word for word in ("admins-secret", "old-secret", "new-secret") if word in out + err]


def test_a_process_does_not_start_with_a_file_it_cannot_use(redis_url: str, mongo_uri: str, tmp_path: Path) -> None:
    service = Service(REDIS_URL=redis_url, MONGODB_URI=mongo_uri, WORKER_API_KEYS_FILE=str(tmp_path / "nowhere"))
    code, out, err = service.end(signum=None)
    assert (code, out) == (1, "")
    assert err.strip().splitlines() == [
        f"WORKER_API_KEYS_FILE: {tmp_path / 'nowhere'} cannot be read (No such file or directory)"
    ]
