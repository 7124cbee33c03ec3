"""What model calls have cost, out of the ledger: sums by brand, operation, provider, model or day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from ..storage import LLM_CALLS, Document, Storage


class By(StrEnum):
    """What sums are made by."""

    BRAND = "brand"
    OPERATION = "operation"
    PROVIDER = "provider"
    MODEL = "model"
    """Provider and model, `provider:model`: two providers may offer models of one name."""
    DAY = "day"
    """UTC day of the start of the call."""


@dataclass(frozen=True, slots=True)
class CostRow:
    """One sum. A call here is an attempt: a request on the wire (one that failed may cost money, too), or the reason
    why none was sent (it counts as failed)."""

    key: str | None
    """None: calls that serve no brand."""
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal | None
    """Sum of the costs that are known; None when none is."""
    calls_without_price: int
    """Calls that used tokens at a price nobody knows: `cost_usd` is so much too low."""


_KEYS: Final[dict[By, Any]] = {
    By.BRAND: "$brand",
    By.OPERATION: "$operation",
    By.PROVIDER: "$provider",
    By.MODEL: {"$concat": ["$provider", ":", "$model"]},
    By.DAY: {"$dateToString": {"format": "%Y-%m-%d", "date": "$at"}},
}
_PRICED: Final = {"$gt": ["$cost_usd", None]}
"""In MongoDB's order of types null stands before every number."""


async def costs(
    storage: Storage, *, since: datetime, until: datetime, by: By = By.BRAND, brand: str | None = None
) -> list[CostRow]:
    """Sums of the calls that started in [since, until), dearest first. Raises `StorageUnavailable`."""
    wanted: Document = {"at": {"$gte": since, "$lt": until}}
    if brand is not None:
        wanted["brand"] = brand
    group = {
        "_id": _KEYS[by],
        "calls": {"$sum": 1},
        "failed": _count({"$ne": ["$outcome", "ok"]}),
        "input_tokens": {"$sum": "$input_tokens"},
        "output_tokens": {"$sum": "$output_tokens"},
        "cost_usd": {"$sum": "$cost_usd"},
        "priced": _count(_PRICED),
        "unpriced": _count({"$and": [{"$gt": ["$input_tokens", None]}, {"$not": [_PRICED]}]}),
    }
    found = await storage.aggregate(LLM_CALLS, [{"$match": wanted}, {"$group": group}])
    rows = [_row(document) for document in found]
    if by is By.DAY:
        return sorted(rows, key=lambda row: row.key or "")
    return sorted(rows, key=lambda row: (-(row.cost_usd or Decimal(0)), -row.calls, row.key or ""))


def _count(condition: Any) -> dict[str, Any]:
    return {"$sum": {"$cond": [condition, 1, 0]}}


def _row(document: Document) -> CostRow:
    return CostRow(
        document["_id"],
        document["calls"],
        document["failed"],
        document["input_tokens"],
        document["output_tokens"],
        # A sum of nulls is the integer 0 in MongoDB: nothing known, which is not "free".
        Decimal(document["cost_usd"]) if document["priced"] else None,
        document["unpriced"],
    )
