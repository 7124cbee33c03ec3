"""What `doctor` says of language models, token tables and embeddings. Keys are looked at, never shown."""

from __future__ import annotations

import hashlib
import os
import re
from decimal import Decimal
from typing import Any, Final

from ..config import Settings
from ..errors import ConfigError
from .doctor_checks import Finding, fault, ok, warning

_SHAPES: Final = {
    "gemini": re.compile(r"AIza[\w-]{30,}|AQ\.[\w.-]{20,}"),
    "openai": re.compile(r"sk-[\w-]{16,}"),
    "groq": re.compile(r"gsk_\w{20,}"),
    "nvidia": re.compile(r"nvapi-[\w-]{20,}"),
    "anthropic": re.compile(r"sk-ant-[\w-]{16,}"),
    "xai": re.compile(r"xai-[\w-]{20,}"),
    "deepseek": re.compile(r"sk-[\w-]{16,}"),
    "mistral": re.compile(r"\w{24,}"),
}
"""How keys begin, as the providers' consoles show them in 2025. They may change: another shape is a warning only."""
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")


async def check_models(settings: Settings, *, ask: bool) -> list[Finding]:
    """One line per provider that is used, one for all that are not. With `ask` each is asked for one word."""
    from ..llm.price_files import load_prices
    from .llm import ask_providers

    prices = load_prices(settings.llm_prices_file)
    found = await ask_providers(settings, ask=ask)
    used = [one for one in found if one["state"] != "left_out"]
    if not used:
        named = ", ".join(settings.llm_named)
        if named:
            why = "; ".join(one["why"] for one in found if one["provider"] in settings.llm_named)
            return [fault("models", f"LLM_PROVIDER names {named}, but {why}", "set the key, or empty LLM_PROVIDER")]
        return [ok("models", "no provider has a key: tiers 1 and 2 judge alone, which is a complete set-up")]
    out = [_provider(settings, one, prices) for one in used]
    out += [
        warning("models", f"LLM_PROVIDER names {one['provider']}, but {one['why']}", "set the key, or leave it out")
        for one in found
        if one["state"] == "left_out" and one["provider"] in settings.llm_named
    ]
    if settings.llm_daily_budget_usd is not None:
        out.append(_budget(settings.llm_daily_budget_usd, used, prices))
    return out


def _provider(settings: Settings, one: dict[str, Any], prices: Any) -> Finding:
    name = f"models: {one['provider']}"
    account = settings.llm_accounts[one["provider"]]
    shown = f"{one['model']}, {_price(one, prices)}"
    if one["failed"]:
        return fault(name, f"{shown}; {one['answer']}", "see the kind of failure: auth is the key, connection the URL")
    key = account.api_key
    if key is not None and not _SENDABLE.fullmatch(key):
        return fault(name, f"{shown}; its key holds blanks or other signs no header can carry", "copy the key again")
    shape = _SHAPES.get(one["provider"])
    if key is not None and shape is not None and account.base_url is None and not shape.fullmatch(key):
        other = next(
            (p for p, its in _SHAPES.items() if p not in ("mistral", one["provider"]) and its.match(key)), None
        )
        looks = f"looks like one of {other}'s" if other else "does not look like its keys"
        return warning(name, f"{shown}; the key {looks}", "check that it is the right key: doctor --ask")
    return ok(name, f"{shown}; {one['answer'] or ('key is set' if key else 'needs no key')}")


def _price(one: dict[str, Any], prices: Any) -> str:
    from ..llm.exchange import Target

    return "price known" if prices.find(Target(one["provider"], one["model"])) is not None else "price not known"


def _budget(budget: Decimal, used: list[dict[str, Any]], prices: Any) -> Finding:
    unknown = [f"{one['provider']}/{one['model']}" for one in used if _price(one, prices) == "price not known"]
    mend = "name their prices in a file: LLM_PRICES_FILE"
    shown = f"LLM_DAILY_BUDGET_USD={budget}"
    if len(unknown) == len(used):
        return fault("budget", f"{shown}: no model is asked, none of their prices is known", mend)
    if unknown:
        return warning("budget", f"{shown}: never asked, because of unknown prices: {', '.join(unknown)}", mend)
    return ok("budget", f"{shown}: the prices of all models are known")


def check_tokens(settings: Settings) -> list[Finding]:
    """Whether OpenAI's token counts are exact or estimates. Only said where its models are used."""
    from ..llm.tokens import TABLES

    if settings.llm_accounts["openai"].api_key is None or "openai" not in settings.llm_order:
        return []
    out = []
    for name, table in TABLES.items():
        path = table.path(os.environ)
        if path is None or not path.is_file():
            mend = f"put {table.url} there, named {path.name if path else 'by its SHA-1'}, for exact counts"
            shown = f"{name}: not in {path.parent if path else 'TIKTOKEN_CACHE_DIR'}, tokens are estimated"
            out.append(warning("token tables", shown, mend))
        elif hashlib.sha256(path.read_bytes()).hexdigest() != table.sha256:
            out.append(warning("token tables", f"{name}: {path} is not the published file", "download it again"))
        else:
            out.append(ok("token tables", f"{name}: counts are exact"))
    return out


def check_embeddings(settings: Settings) -> list[Finding]:
    """Raises nothing: settings that do not fit together are a finding."""
    from ..cpu import Cpu
    from ..embeddings import embedder_of

    cpu = Cpu()
    try:
        embedder_of(settings, cpu)
    except ConfigError as error:
        return [fault("embeddings", error.message, "correct these settings together (.env.example)")]
    finally:
        cpu.close()
    what = "local, no download" if settings.embeddings_provider == "local" else settings.embeddings_provider
    return [ok("embeddings", what)]
