"""`taawon why`: why a cooperative was alerted of an idea or a call, or was not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from notifications.inbox import queries as inbox_queries
from notifications.labels import language_for
from shared.i18n.languages import LANGUAGES, known_language
from shared.kernel.commands.identifiers import identifier
from shared.kernel.commands.settings import settings_of
from shared.kernel.commands.terminal import say, say_json
from shared.kernel.data.database import make_engine, make_sessions

from . import queries
from .explanations import WhyOut, explanation_of


def moment_of(text: str) -> datetime:
    """A moment of ISO 8601, as explanations show it; without a zone it is in UTC.

    Raises `ValueError` for any other text.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def why(
    subject: Annotated[UUID, typer.Argument(parser=identifier, help="Id of the idea or call.")],
    cooperative: Annotated[UUID, typer.Argument(parser=identifier, help="Id of the cooperative.")],
    language: Annotated[
        str | None,
        typer.Option(
            parser=known_language,
            metavar=f"[{'|'.join(LANGUAGES)}]",
            help="Language of the sentences; else the cooperative's own.",
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=moment_of,
            metavar="TIME",
            help="As of this moment, as explanations show it or in UTC; else as of the decision.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole explanation as JSON.")] = False,
) -> None:
    """Explain why a cooperative was alerted of an idea or a call, or why not, as of then.

    It reads the database of notifications (TAAWON_DATABASE_URL, or what `taawon up` runs here).

    Example: taawon why 0d9c8f9e-… 5b1f3a52-… --language ar
    """
    found = asyncio.run(_find(subject, cooperative, language, at))
    if as_json:
        say_json(found.model_dump_json(indent=2))
        return
    for line in lines_of(found):
        say(line)


async def _find(
    subject: UUID, cooperative: UUID, language: str | None, at: datetime | None
) -> WhyOut:
    settings = settings_of("notifications")
    engine = make_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        async with make_sessions(engine)() as session:
            evidence = await queries.find_why(session, subject, cooperative, at=at)
            own = await inbox_queries.language_of(session, cooperative)
            return explanation_of(evidence, language_for(own, language), for_staff=True)
    finally:
        await engine.dispose()


def lines_of(found: WhyOut) -> Iterator[str]:
    """The explanation as lines for a terminal."""
    yield f"{found.title} — {found.because} ({found.as_of.isoformat()})"
    yield found.summary
    if found.approval:
        approval = found.approval
        decided = f"{approval.state} by {approval.by}, {approval.decided_at.isoformat()}"
        yield f"  {decided}: {approval.reason}"
        yield f"  {approval.next}"
    for past in found.decisions[:-1]:
        yield f"  before: {past.state} by {past.by}, {past.decided_at.isoformat()}"
    for alert in found.alerts:
        yield f"  alert {alert.number}: {alert.kind}, {alert.alerted_at.isoformat()}"
    for track in found.tracks:
        yield f"  {track.track or found.subject_kind}: {track.verdict}"
        if track.offer:
            yield f"    {track.offer}"
        yield from (f"    • {reason}" for reason in track.reasons)
        if track.how_to_complete:
            yield f"    → {track.how_to_complete}"
    if found.profile:
        known = "; ".join(
            f"{field.name}: {'?' if field.label is None else field.label}"
            for field in found.profile
        )
        yield f"  profile v{found.profile_version}: {known}"
