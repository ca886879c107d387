"""`taawon doctor`: what is wrong, and the next step for each."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.text import Text

from cli.client import OperatorClient, Token, Urls
from cli.diagnosis import diagnose
from cli.diagnosis.observations import Finding, Severity
from cli.observe import observe
from shared.kernel.commands.screen import Screen
from shared.kernel.commands.terminal import say_json
from shared.kernel.messaging.addresses import VHOST

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}


def doctor(
    urls: Urls = None,
    token: Token = None,
    vhost: Annotated[str, typer.Option(help="The virtual host of events.")] = VHOST,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Look for what is wrong, and say what to do next. Looking changes nothing.

    Exit code 1 where there is an error. Queues are looked at on this machine, or where
    TAAWON_RABBIT_MANAGEMENT_URL is set.

    Example: taawon doctor --url registry=http://127.0.0.1:8001 --url ideas=http://127.0.0.1:8002
    """
    findings = diagnose(asyncio.run(observe(OperatorClient.find(urls, token), vhost)))
    if json:
        say_json(orjson.dumps([asdict(finding) for finding in findings]).decode())
    else:
        _show(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    console = Screen(highlight=False)
    for finding in findings:
        console.print(Text(finding.severity, STYLES[finding.severity]), Text(finding.what))
        console.print(Text(f"  next: {finding.next_step}"))
        if finding.command:
            console.print(Text(f"  $ {finding.command}", "bold"), soft_wrap=True)
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    console.print(f"{errors} errors, {len(findings) - errors} other findings")
