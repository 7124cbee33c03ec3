"""Which claimed task may start, which has to wait in a lane. Pure bookkeeping, no I/O.

A lane holds the tasks of one brand or one type that has its share of the slots. Lanes take turns, so a brand with a
hundred thousand tasks delays another brand's one task by a slot, not by a hundred thousand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .models import Task


class Admission:
    """Counts what is inside (running or about to) per brand and type of this process.

    Args:
        brand_slots: slots one brand may hold at a time.
        type_slots: the same per task type, for types that have a limit.
    """

    def __init__(self, *, brand_slots: int, type_slots: Mapping[str, int]) -> None:
        self._brand_slots = brand_slots
        self._type_slots = dict(type_slots)
        self._brands: Counter[str] = Counter()
        self._types: Counter[str] = Counter()

    @property
    def sees_brands(self) -> bool:
        """Does anything inside have a brand? Without brands there is nothing to be fair between."""
        return bool(self._brands)

    @property
    def types(self) -> Mapping[str, int]:
        return self._types

    def full_lanes(self) -> list[str]:
        """Lanes whose brand or type has its share."""
        brands = [f"brand:{brand}" for brand, count in self._brands.items() if count >= self._brand_slots]
        types = [f"type:{name}" for name, most in self._type_slots.items() if self._types[name] >= most]
        return brands + types

    def lane(self, task: Task, *, room: bool) -> str | None:
        """The lane a task has to wait in, None when it may start.

        Args:
            room: is a slot to be had? Without one only a task of a brand that has nothing inside may go next.
        """
        most = self._type_slots.get(task.type)
        if most is not None and self._types[task.type] >= most:
            return f"type:{task.type}"
        brand = task.brand
        if brand is None:
            return None if room else "brand:"
        if self._brands.get(brand, 0) >= (self._brand_slots if room else 1):
            return f"brand:{brand}"
        return None

    def enter(self, task: Task) -> None:
        self._types[task.type] += 1
        if task.brand is not None:
            self._brands[task.brand] += 1

    def leave(self, task: Task) -> None:
        # Counts at zero are removed: brands come and go, and the counter must not remember all of them.
        self._types[task.type] -= 1
        if task.brand is not None:
            self._brands[task.brand] -= 1
            if self._brands[task.brand] <= 0:
                del self._brands[task.brand]
