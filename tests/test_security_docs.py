"""docs/security.md says what is so: no secret is forgotten, and every proof it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pydantic import SecretStr

from src.worker.config import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")


def _section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_setting_that_can_hold_a_secret_stands_on_the_page_and_no_other_does() -> None:
    """Those declared as secrets, and those that are kept out of what settings show of themselves."""
    secrets = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if not field.repr or SecretStr in getattr(field.annotation, "__args__", (field.annotation,))
    }
    rows = [line for line in _section("What each secret opens").splitlines() if line.startswith("| `")]
    told = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", " ".join(row.split("|")[1] for row in rows)))
    assert told == secrets
    assert len(secrets) > 20


def test_a_setting_that_is_named_like_a_secret_or_a_place_is_kept_out_of_what_settings_show() -> None:
    likely = re.compile(r"(key|password|token|secret|headers|_url|_uri|_endpoint)$")
    shown = [
        name
        for name, field in Settings.model_fields.items()
        if likely.search(name) and field.repr and SecretStr not in getattr(field.annotation, "__args__", ())
    ]
    assert shown == ["brand_list_key"]  # the name of a key of Redis


def test_every_test_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", PAGE))
    there = {
        node.name
        for path in (ROOT / "tests").glob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(named) > 30
    assert named <= there, sorted(named - there)


def test_every_threat_has_a_measure_and_a_proof() -> None:
    rows = [line.split("|") for line in _section("Threats, measures, proofs").splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    assert [row[1] for row in rows if not (row[1].strip() and row[2].strip() and "`test_" in row[3])] == []


def test_every_noqa_of_a_security_rule_gives_its_reason() -> None:
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("src", "workers")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.search(r"# noqa:.*\bS\d", line)
    ]
    assert [line for line in lines if not re.search(r"# noqa: S\d+ - [`\w]", line)] == []
