"""`taawon reference`: the codes that criteria and register files may name, with their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import orjson
import typer
from rich.table import Column, Table

from shared import reference as codes
from shared.errors import Invalid
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say_json
from shared.reference import Branch, Commune, Province, Record


class List(StrEnum):
    """The lists that there are."""

    REGIONS = "regions"
    PROVINCES = "provinces"
    COMMUNES = "communes"
    SECTORS = "sectors"
    BRANCHES = "branches"
    SDGS = "sdgs"
    LANGUAGES = "languages"


_ALL: Final[Mapping[List, Callable[[], Sequence[Record]]]] = {
    List.REGIONS: codes.regions,
    List.PROVINCES: codes.provinces,
    List.COMMUNES: codes.communes,
    List.SECTORS: codes.sectors,
    List.BRANCHES: codes.branches,
    List.SDGS: codes.sdgs,
    List.LANGUAGES: codes.languages,
}
_WIDER: Final[Mapping[List, Callable[..., Record]]] = {
    List.PROVINCES: codes.region,
    List.COMMUNES: codes.province,
    List.BRANCHES: codes.sector,
}
"""What the entries of a list lie in, and how its code is looked up."""


def reference(
    what: Annotated[List, typer.Argument(metavar="LIST", help=f"One of {', '.join(List)}.")],
    within: Annotated[
        str | None,
        typer.Option(help="Of provinces a region, of communes a province, of branches a sector."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List codes with their names in Arabic, French and English.

    The registry has the same over HTTP: GET /reference/branches.

    Example: taawon reference communes --within MA-TIZ
    """
    found = [each for each in _ALL[what]() if within is None or _lies_in(each, what, within)]
    if json:
        say_json(orjson.dumps([_row(each) for each in found]))
        return
    widest = max((len(each.code) for each in found), default=0)
    table = Table(Column("code", min_width=widest), "fr", "ar", "en", "in")
    for row in map(_row, found):
        table.add_row(*(row[name] or "" for name in ("code", "fr", "ar", "en", "within")))
    Screen().print(table)


def _lies_in(record: Record, what: List, within: str) -> bool:
    if what not in _WIDER:
        raise Invalid(f"{what} lie in nothing: leave --within out", field="--within")
    return _wider(record) == _WIDER[what](within, field="--within").code


def _wider(record: Record) -> str | None:
    if isinstance(record, Province):
        return record.region
    if isinstance(record, Commune):
        return record.province
    return record.sector if isinstance(record, Branch) else None


def _row(record: Record) -> dict[str, str | None]:
    return {
        "code": record.code,
        "fr": record.fr,
        "ar": record.ar,
        "en": record.label("en"),
        "within": _wider(record),
    }
