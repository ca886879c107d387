"""What a person sees of the story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from shared.kernel.waiting import wait_until

COUNTED = ("matched", "alerted", "unknown", "twice")


class EventRow(Protocol):
    """What the table shows of one event; `seconds` is the time of its fan-out."""

    title: str
    matched: int
    eligible: int
    unknown: int
    alerted: int
    duplicates: int
    seconds: float


class Counted(Protocol):
    """How many cooperatives were corrected."""

    @property
    def corrected(self) -> int: ...


class MovedDeadline(Protocol):
    """A deadline before and after, as readers see it."""

    @property
    def before(self) -> str: ...
    @property
    def after(self) -> str: ...
    @property
    def correction(self) -> Counted: ...


class Fanouts:
    """A table that grows while events fan out."""

    def __init__(self, live: Live, total: int) -> None:
        self._live = live
        self._total = total
        self._rows: list[tuple[str, ...]] = []
        self._draw()

    def waiting(self, title: str) -> None:
        """Show an event whose fan-out is not seen yet."""
        self._draw((_short(title), "…", "", "", "", ""))

    def row(self, row: EventRow, *, is_new: bool) -> None:
        """Add the counts of a fan-out; only a new one has a time of its own."""
        self._rows.append(
            (
                _short(row.title),
                f"{row.matched:,}",
                f"{row.alerted:,}",
                f"{row.unknown:,}",
                str(row.duplicates),
                f"{row.seconds:.2f} s" if is_new else "before",
            )
        )
        self._draw()

    def _draw(self, *more: tuple[str, ...]) -> None:
        table = Table(
            Column("event", no_wrap=True, ratio=1),
            *(Column(name, justify="right", min_width=len(name)) for name in COUNTED),
            Column("time", justify="right", min_width=7),
            title=f"{len(self._rows)} of {self._total} events shown",
            title_justify="left",
        )
        for row in (*self._rows, *more):
            table.add_row(*row)
        self._live.update(table, refresh=True)


class Screen:
    """The terminal, or a log when there is none."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    def say(self, text: str) -> None:
        """One line of what is going on."""
        self.console.print(f"  {text}", style="dim", markup=False)

    def chapter(self, title: str) -> None:
        """The heading of a part of the story."""
        self.console.print()
        self.console.rule(title, align="left")

    def wait_for_audience(self, total: int, look: Callable[[], int], within: float) -> bool:
        """Show a bar until `look` counts `total` or `within` seconds are over; whether it did."""
        with Progress(
            TextColumn("  audience of notifications"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        ) as progress:
            task = progress.add_task("received", total=total)

            def complete() -> bool:
                seen = look()
                progress.update(task, completed=seen)
                return seen >= total

            return wait_until(complete, within=within, every=0.1)

    def register(self, cooperatives: int, members: int, imported: float, received: float) -> None:
        """The size of the register, and the seconds of import and audience."""
        self.console.print(
            f"  {cooperatives:,} cooperatives with {members:,} members;"
            f" imported in {imported:.1f} s, known to notifications after {received:.1f} s"
        )

    def partner(self, slug: str, name: str, wanted: dict[str, Any]) -> None:
        """A partner and the filter of its subscription."""
        asked = (
            "; ".join(f"{k}: {' '.join(map(str, v))}" for k, v in wanted.items()) or "everything"
        )
        self.console.print(f"  {slug:20}{name}")
        self.console.print(f"  {'':20}asks for: {asked}", style="dim", markup=False)

    @contextmanager
    def fanouts(self, total: int) -> Iterator[Fanouts]:
        """A table that lasts for the block and expects `total` events."""
        with Live(console=self.console, auto_refresh=False) as live:
            yield Fanouts(live, total)

    def alerts(self, alerts: list[dict[str, Any]]) -> None:
        """Each alert as its reader sees it."""
        for alert in alerts:
            self.console.print(_panel(alert))

    def why_not(self, answer: dict[str, Any]) -> None:
        """Why one cooperative was not alerted; `answer` is empty where none was found."""
        if not answer:
            self.say("every cooperative that was looked at was alerted")
            return
        lines = [f"[bold]{escape(answer['title'])}[/bold]", escape(answer["summary"])]
        for track in answer["tracks"]:
            lines += [f"• {escape(reason)}" for reason in track["reasons"]]
        title = f"{escape(answer['cooperative'])} · {answer['because']}"
        self.console.print(Panel("\n".join(lines), title=title, title_align="left"))

    def correction(self, title: str, moved: MovedDeadline) -> None:
        """The deadline before and after, and how many were corrected."""
        self.console.print(f"  {title}", markup=False)
        self.console.print(f"  {moved.before}  →  {moved.after}", markup=False)
        corrected = moved.correction.corrected
        self.console.print(f"  {corrected:,} cooperatives were alerted of the new deadline")

    def received(self, partners: list[Any]) -> None:
        """What each partner should have read, has read, and has read twice."""
        table = Table("partner", "events of its feed", "received over AMQP", "repeats")
        for row in partners:
            table.add_row(row.slug, str(row.expected), str(row.received), str(row.duplicates))
        self.console.print(table)

    def where_next(self, lines: list[str]) -> None:
        """What a reader may do next."""
        self.chapter("Where to go next")
        for line in lines:
            self.console.print(f"  {line}", markup=False, soft_wrap=True)


def _panel(alert: dict[str, Any]) -> Panel:
    cooperative = alert["cooperative"]
    name = cooperative.get(f"name_{alert['language']}") or cooperative.get("name_fr") or "?"
    lines = [f"[bold]{alert['title']}[/bold]"]
    lines += [each for each in (alert["offer"], alert["deadline"]) if each]
    for why in alert["why"]:
        lines += [f"• {reason}" for reason in why["reasons"]]
    return Panel(
        "\n".join(lines),
        title=f"{name} · {alert['kind']} · {alert['verdict']}",
        title_align="left",
    )


def _short(title: str) -> str:
    return title if len(title) <= 27 else f"{title[:26]}…"
