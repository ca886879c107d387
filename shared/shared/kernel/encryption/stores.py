"""Stores of sealed values: a column of a table, or the bodies of a log. Each is read in batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from sqlalchemy import (
    BigInteger,
    Table,
    TextClause,
    cast,
    func,
    literal,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.data.database import Sessions
from shared.kernel.data.sealed_keys import FINGERPRINT, UNREADABLE, sealed_keys_of

from .sealed_payloads import MAY_BE_SEALED, with_fields
from .sealer import Sealer, Unreadable

Census = Counter[str]
"""How many values each key seals, by its fingerprint; `UNREADABLE` counts those of unknown keys."""
Row = Mapping[str, Any]
Renew = Callable[[Row, dict[str, Any], Sealer], dict[str, Any]]
"""Computes the columns that follow from a row's opened value, such as marks by the newest key."""

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped upstream


@dataclass(kw_only=True)
class Batch:
    """The result of renewing some rows. `missed` are the keys of rows that somebody else changed or
    locked meanwhile.
    """

    rows: int
    renewed: int = 0
    unreadable: int = 0
    missed: tuple[Any, ...] = ()


def _by_known_key(rows: Iterable[Any], sealer: Sealer) -> Census:
    """Counts by key; what no key of this service opens is `UNREADABLE`."""
    found = Census()
    for key, count in rows:
        found[key if key in sealer.fingerprints else UNREADABLE] += int(count)
    return found


class Store(Protocol):
    """A place where a service stores sealed values: a column, or the bodies of a log."""

    @property
    def name(self) -> str:
        """The table and the column, such as `account.email_sealed`."""
        ...

    async def size(self, session: AsyncSession) -> int:
        """How many rows hold something sealed."""
        ...

    def batches(self, sessions: Sessions) -> AsyncIterator[Sequence[Row]]:
        """All rows that hold something sealed, page by page in the order of their keys."""
        ...

    async def again(self, session: AsyncSession, keys: Sequence[Any]) -> Sequence[Row]:
        """The rows of these keys, as they are now."""
        ...

    async def census(self, session: AsyncSession, sealer: Sealer) -> Census:
        """How many values each key seals, counted by the database: no value is read here."""
        ...

    async def renew(self, sessions: Sessions, rows: Sequence[Row], sealer: Sealer) -> Batch:
        """Reseal the values of these rows with the newest key, in transactions of its own."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Rows(ABC):
    """Reads the rows of a store by their key, page by page."""

    table: Table
    key: str
    page: int

    @abstractmethod
    def _query(self) -> Any:
        """The rows that hold something sealed."""

    async def size(self, session: AsyncSession) -> int:
        return await session.scalar(select(func.count()).select_from(self._query().subquery())) or 0

    async def batches(self, sessions: Sessions) -> AsyncIterator[Sequence[Row]]:
        key, last = self.table.c[self.key], None
        while True:
            query = self._query().order_by(key).limit(self.page)
            if last is not None:
                query = query.where(key > last)
            async with sessions() as session:
                rows = [dict(row) for row in (await session.execute(query)).mappings()]
            if not rows:
                return
            yield rows
            last = rows[-1][self.key]

    async def again(self, session: AsyncSession, keys: Sequence[Any]) -> Sequence[Row]:
        query = self._query().where(self.table.c[self.key].in_(keys))
        return [dict(row) for row in (await session.execute(query)).mappings()]


@dataclass(frozen=True, kw_only=True)
class SealedColumn(_Rows):
    """A column of ciphertext. `renewing` computes the columns `follows`, such as marks, anew."""

    column: str
    follows: tuple[str, ...] = ()
    renewing: Renew | None = None
    page: int = 500

    @property
    def name(self) -> str:
        """The table and the column."""
        return f"{self.table.name}.{self.column}"

    def _query(self) -> Any:
        return select(self.table).where(self.table.c[self.column].is_not(None))

    async def census(self, session: AsyncSession, sealer: Sealer) -> Census:
        """How many rows each key seals, by the beginning of the value."""
        column = self.table.c[self.column]
        key = func.substring(column, FINGERPRINT)
        query = select(key, func.count()).where(column.is_not(None)).group_by(key)
        return _by_known_key(await session.execute(query), sealer)

    async def renew(self, sessions: Sessions, rows: Sequence[Row], sealer: Sealer) -> Batch:
        """Write only rows that still contain what was read, and skip those that others have locked.

        Waiting for rows that an import has locked, while holding others, could be a deadlock.
        """
        batch, given = Batch(rows=len(rows)), []
        for row in rows:
            try:
                if new := self._renewed(row, sealer):
                    given.append((row[self.key], self._as_given(row, new)))
            except Unreadable:
                batch.unreadable += 1
        if given:
            written = await self._write(sessions, [values for _, values in given])
            batch.renewed = len(written)
            batch.missed = tuple(key for key, _ in given if key not in written)
        return batch

    def _renewed(self, row: Row, sealer: Sealer) -> dict[str, Any] | None:
        sealed = row[self.column]
        is_newest = sealer.key_of(sealed) == sealer.newest
        if is_newest and self.renewing is None:
            return None
        follows = self.renewing(row, sealer.open(sealed), sealer) if self.renewing else {}
        if is_newest and all(row[name] == value for name, value in follows.items()):
            return None
        return follows | {self.column: sealed if is_newest else sealer.reseal(sealed)}

    def _as_given(self, row: Row, new: dict[str, Any]) -> dict[str, Any]:
        columns = (self.column, *self.follows)
        before = {f"was_{name}": row[name] for name in columns}
        return (
            {"key": row[self.key]} | before | {name: new.get(name, row[name]) for name in columns}
        )

    async def _write(self, sessions: Sessions, given: list[dict[str, Any]]) -> set[Any]:
        async with sessions.begin() as session:
            rows = orjson.dumps(given, default=str).decode()
            return set(await session.scalars(self._statement(), {"rows": rows}))

    def _statement(self) -> TextClause:
        table, key, columns = self.table, self.key, (self.column, *self.follows)
        types = {name: table.c[name].type.compile(_DIALECT) for name in (key, *columns)}
        typed = ", ".join(f"{name} {types[name]}, was_{name} {types[name]}" for name in columns)
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM g.was_{name}" for name in columns)
        return text(
            f"""
            WITH given AS (
                SELECT * FROM json_to_recordset(CAST(:rows AS json))
                AS g (key {types[key]}, {typed})
            ), held AS (
                SELECT t.{key} AS key FROM {table.name} t JOIN given g ON t.{key} = g.key AND {same}
                FOR UPDATE OF t SKIP LOCKED
            )
            UPDATE {table.name} t SET {", ".join(f"{name} = g.{name}" for name in columns)}
            FROM given g JOIN held USING (key) WHERE t.{key} = g.key AND {same}
            RETURNING t.{key}
            """
        )


@dataclass(frozen=True, kw_only=True)
class Log(_Rows):
    """The bodies of kept events: sealed fields are found by name, at any depth."""

    body: str = "body"
    page: int = 20

    @property
    def name(self) -> str:
        """The table and the column of the bodies."""
        return f"{self.table.name}.{self.body}"

    def _query(self) -> Any:
        body = self.table.c[self.body]
        columns = (self.table.c[self.key], body)
        return select(*columns).where(func.position(literal(MAY_BE_SEALED).op("IN")(body)) > 0)

    async def census(self, session: AsyncSession, sealer: Sealer) -> Census:
        """How many sealed fields each key seals, as the rows say beside their bodies."""
        keys = self.table.c.sealed_keys
        each = func.jsonb_each_text(keys).table_valued("key", "value").render_derived()
        query = (
            select(each.c.key, func.sum(cast(each.c.value, BigInteger)))
            .select_from(self.table)
            .join(each, true())
            .where(keys.is_not(None))
            .group_by(each.c.key)
        )
        return _by_known_key(await session.execute(query), sealer)

    async def renew(self, sessions: Sessions, rows: Sequence[Row], sealer: Sealer) -> Batch:
        """Write each row in a transaction of its own: waiting for the relay can't be a deadlock."""
        batch, missed, body = Batch(rows=len(rows)), [], self.table.c[self.body]
        for row in rows:
            renewal = _Renewal(sealer)
            new = with_fields(row[self.body], renewal)
            batch.unreadable += renewal.unreadable
            if new is None:
                continue
            statement = (
                update(self.table)
                .where(self.table.c[self.key] == row[self.key], body == row[self.body])
                .values({self.body: new, "sealed_keys": sealed_keys_of(new)})
            )
            async with sessions.begin() as session:
                written = (await session.execute(statement)).rowcount  # type: ignore[attr-defined]  # a cursor's
            batch.renewed += written
            missed += [] if written else [row[self.key]]
        batch.missed = tuple(missed)
        return batch


@dataclass
class _Renewal:
    """Reseals a field; one that no key opens stays as it is and is counted."""

    sealer: Sealer
    unreadable: int = 0

    def __call__(self, sealed: str) -> str:
        key = self.sealer.key_of(sealed)
        if key is None:
            self.unreadable += 1
        return sealed if key in {None, self.sealer.newest} else self.sealer.reseal(sealed)
