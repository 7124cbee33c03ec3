"""Settings: the specification's names, clear refusals, every one documented, none for show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from src.worker.config import Settings, load_settings
from src.worker.errors import ConfigError
from src.worker.keys import PlatformKeys, normalise_prefix
from src.worker.secrecy import masked_url

ROOT = Path(__file__).resolve().parent.parent


def _load(**overrides: Any) -> Settings:
    return load_settings(_env_file=None, **overrides)


def test_every_setting_is_documented_with_its_default_and_nothing_else_is() -> None:
    documented = dict(re.findall(r"^#([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert set(documented) == {name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        shown = documented[name.upper()]
        if field.default is None or field.default_factory is not None:
            continue
        assert str(_load(**{name: shown}).model_dump()[name]) == str(_load().model_dump()[name]), name


def test_every_setting_is_read_somewhere() -> None:
    source = (
        "\n".join(path.read_text() for path in (ROOT / "src" / "worker").rglob("*.py") if path.name != "config.py")
        + (ROOT / "src" / "worker" / "config.py").read_text().partition("def brand_slots")[2]
    )
    unread = [name for name in Settings.model_fields if f".{name}" not in source]
    assert unread == []


def test_the_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "9000")
    monkeypatch.setenv("LOG_LEVEL", " WARNING ")
    monkeypatch.setenv("REDIS_URL", "")
    assert (_load().http_port, _load().log_level, _load().redis_url) == (9000, "warning", None)
    assert _load(http_port=9001).http_port == 9001


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HTTP_PORT=9000\nQUEUE_CONCURRENCY=3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTP_PORT", "9001")
    assert (load_settings().http_port, load_settings().queue_concurrency) == (9001, 3)


def test_a_secret_is_never_shown_by_an_error_or_a_representation() -> None:
    with pytest.raises(ConfigError) as caught:
        _load(mongodb_uri="postgres://user:hunter2@host")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(_load(worker_api_key="hunter2"))


@pytest.mark.parametrize("prefix", ["queue:brand", "queue:brand:", "queue:brand::", " queue:brand: "])
def test_prefixes_end_with_exactly_one_colon(prefix: str) -> None:
    assert normalise_prefix(prefix) == "queue:brand:"
    assert _load(redis_queue_prefix=prefix).platform_keys.chunks("acme") == "queue:brand:acme:chunks"


def test_slugs_are_found_in_list_names() -> None:
    keys = PlatformKeys()
    assert keys.slug_of("queue:brand:acme-corp:chunks") == "acme-corp"
    assert keys.slug_of("queue:brand::chunks") is None
    assert keys.slug_of("other:acme:chunks") is None


def test_worker_ids_differ_between_processes_of_one_machine() -> None:
    assert _load().worker_id != _load().worker_id


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pass@localhost:6379/0", "redis://***@localhost:6379/0"),
        ("mongodb+srv://user:p%40ss@cluster.example/db?w=1", "mongodb+srv://***@cluster.example/db?w=1"),
    ],
)
def test_urls_are_shown_without_their_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown
