"""What forms of answers share."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, with_config

Time = Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-03-01T10:20:30.000Z"])]
Cursor = Annotated[str | None, Field(description="cursor of the next page, null on the last")]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[float, Field(ge=-1, le=1, description="-1 negative to 1 positive")]
Slug = Annotated[str, Field(description="the brand's name as keys use it", examples=["acme-corp"])]
Usd = Annotated[str | None, Field(description="exact US dollars as text; null: no price is known")]

answer = with_config(ConfigDict(defer_build=True))
"""For the form of a whole answer: built when the OpenAPI document is, in a thread, not while the process starts."""
