"""The declared matrices: who may call what. One line per route, one mark per kind of caller.

    GET  /cooperatives/{cooperative_id}/alerts   + + - - - + - - - - - - !
    PUT  /subjects/{subject_id}/approval         + - - - - - - - - - - - !  | {"state": "held", …}

Marks: `+` answered, `-` forbidden (403), `?` hidden (404, as if it did not exist), `!` sign in
first (401), `*` let in, and answered that the broker is away, for there is none. Callers, in order,
are `CALLERS`. A `{parameter}` is filled by the fixture of the service (`fixtures.py`);
`{idea_id=draft}` fills it with another name of that fixture, so that a route may have several rows.
After `|` comes what is sent: JSON with `$names`, `form a=b&c=d` or `csv …`. A change that is let in
has to leave an audit row, which `GET /audit/{its subject}` shows; `(no audit)` at the end says that
there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from shared.kernel.installed import installed_services

FOLDER = Path(__file__).parent
SERVICES = installed_services()
CALLERS = (
    "operator",
    "delegate of the province",
    "delegate of another",
    "the partner",
    "another partner",
    "the cooperative",
    "another cooperative",
    "the account itself",
    "holder",
    "juror",
    "reviewer",
    "no role",
    "no token",
)
MARKS = {
    "+": "answered",
    "-": "forbidden",
    "?": "hidden",
    "!": "sign in first",
    "*": "status 503",
}

_ROW = re.compile(
    r"(?P<method>[A-Z]+)\s+(?P<path>/\S*)\s+(?P<marks>[-+?!*](?:\s+[-+?!*])*)"
    r"\s*(?:\|\s*(?P<body>.*?))?\s*(?P<silent>\(no audit\))?$"
)
_PARAMETER = re.compile(r"\{(?P<name>\w+)(?:=(?P<alias>\w+))?\}")


@dataclass(frozen=True)
class Row:
    """One line of a matrix."""

    service: str
    method: str
    path: str
    expected: dict[str, str]
    body: str
    leaves_audit: bool
    place: str

    @property
    def route(self) -> tuple[str, str]:
        """Method and path as the application names them."""
        return self.method, _PARAMETER.sub(r"{\g<name>}", self.path.partition("?")[0])

    def address(self, names: dict[str, str]) -> str:
        """The path of a real record."""
        return _PARAMETER.sub(lambda found: names[found["alias"] or found["name"]], self.path)


def rows_of(service: str) -> list[Row]:
    """The service's own matrix, and that of the routes which the kernel gives to every service."""
    return [*_read("kernel", service), *_read(service, service)]


def _read(file: str, service: str) -> list[Row]:
    rows = []
    text = (FOLDER / f"{file}.txt").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        place = f"tests/permissions/{file}.txt:{number}"
        found = _ROW.fullmatch(line.strip())
        assert found, f"{place} is no row: METHOD /path, {len(CALLERS)} marks, | body"
        marks = found["marks"].split()
        assert len(marks) == len(CALLERS), f"{place} has {len(marks)} marks, not {len(CALLERS)}"
        changes = found["method"] not in {"GET", "HEAD"}
        rows.append(
            Row(
                service=service,
                method=found["method"],
                path=found["path"],
                expected=dict(zip(CALLERS, (MARKS[mark] for mark in marks), strict=True)),
                body=found["body"] or "",
                leaves_audit=changes and not found["silent"],
                place=place,
            )
        )
    return rows
