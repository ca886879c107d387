"""Whole numbers of contracts, each with the bounds that everybody who takes it can hold.

A number without a bound is taken on one side and can't be stored on another: JSON has no largest
integer, while columns and the numbers of most programs do. So each has a bound of its own, at the
edge where a person hears of it, and none is above what its column and every reader hold.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

LARGEST_INTEGER: Final = 2**31 - 1
"""What a column of type `integer` holds."""
LARGEST_BIGINT: Final = 2**63 - 1
"""What a column of type `bigint` holds."""
LARGEST_EXACT: Final = 2**53 - 1
"""Of JSON: many readers keep numbers as doubles, which change larger ones (RFC 7493, I-JSON)."""

MOST_MEMBERS: Final = 1_000_000
MOST_CENTIMES: Final = 10**13

Members = Annotated[int, Field(ge=0, le=MOST_MEMBERS)]
"""Members of one entity. More is a typing error: no cooperative has a million."""

AgeMonths = Annotated[int, Field(ge=0, le=12_000)]
"""An age in months, up to a thousand years: more is a typing error."""

Percent = Annotated[int, Field(ge=0, le=100)]
"""A share of a whole."""

Centimes = Annotated[int, Field(ge=0, le=MOST_CENTIMES)]
"""Money in centimes of a dirham, up to a hundred billion dirhams: more is a typing error."""

Amount = Annotated[int, Field(gt=0, le=MOST_CENTIMES)]
"""`Centimes` of which there are some: a grant of nothing is none."""

Jobs = Annotated[int, Field(ge=0, le=1_000_000)]
"""Jobs that an idea creates. More is a typing error."""

Goal = Annotated[int, Field(ge=1, le=17)]
"""One of the sustainable development goals of the United Nations, by its number."""

Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
"""How many rows of a table something concerned; columns of type `integer` hold it."""

Stored = Annotated[int, Field(ge=-LARGEST_INTEGER - 1, le=LARGEST_INTEGER)]
"""What a column of type `integer` may hold, true or not."""

Exact = Annotated[int, Field(ge=-LARGEST_EXACT, le=LARGEST_EXACT)]
"""A whole number of unknown meaning that every reader of JSON keeps as it is."""

Position = Annotated[int, Field(ge=1, le=LARGEST_EXACT)]
"""A place in a feed: a `bigint` there, and exact for whoever reads it as JSON."""
