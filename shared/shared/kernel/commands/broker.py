"""`taawon broker`: the virtual host and the users that services sign in with."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from shared.errors import DomainError, Invalid
from shared.kernel.commands.numbers import decimal
from shared.kernel.commands.terminal import say
from shared.kernel.messaging.addresses import VHOST
from shared.kernel.messaging.broker_users import put_service_user
from shared.kernel.messaging.management import Management, ManagementRefused
from shared.kernel.messaging.topology import BrokerUser
from shared.kernel.settings import Settings
from shared.kernel.waiting import wait_until
from shared.sentences import Sentence

app = typer.Typer(help="The broker's virtual host and users.", no_args_is_help=True)


class BrokerAway(DomainError):
    """The management API takes no calls: check TAAWON_RABBIT_MANAGEMENT_URL."""


@app.callback()
def _group() -> None:
    """The broker's virtual host and users."""


@app.command()
def users(
    services: Annotated[list[str], typer.Argument(help="Every service that has a broker user.")],
    vhost: Annotated[str, typer.Option(help="Where events travel.")] = VHOST,
    patience: Annotated[
        float, typer.Option(parser=decimal, help="Seconds to wait for a starting broker.")
    ] = 60,
) -> None:
    """Make the virtual host, and a user for each service with the rights it needs. Safe to repeat.

    It acts as the administrator of TAAWON_RABBIT_MANAGEMENT_URL. The password of a service is in
    TAAWON_<SERVICE>_BROKER_PASSWORD; a user that exists gets this password.

    Example: taawon broker users registry ideas funding notifications
    """
    passwords = {service: _password(service) for service in services}
    management = _administrator()
    if not wait_until(management.is_answering, within=patience, every=0.5):
        raise BrokerAway(
            Sentence(
                "no management API that knows {user} answered at {url} within {patience} s: check"
                " TAAWON_RABBIT_MANAGEMENT_URL",
                user=management.user,
                url=management.url,
                patience=f"{patience:g}",
            )
        )
    try:
        management.put_vhost(vhost)
        management.put_permissions(vhost, management.user, configure=".*", write=".*", read=".*")
        for service, password in passwords.items():
            put_service_user(management, BrokerUser(service), password, vhost)
    except (OSError, ManagementRefused) as error:
        raise BrokerAway(
            Sentence("{url} did not do it: {error}", url=management.url, error=error)
        ) from error
    say(f"vhost {vhost}: {', '.join(services)}")


def _administrator() -> Management:
    settings = Settings.load("broker", database_url="postgresql://unused", amqp_url="amqp://unused")
    if settings.rabbit_management_url is None:
        raise Invalid(
            Sentence("set TAAWON_RABBIT_MANAGEMENT_URL to http://admin:password@host:15672"),
            field="TAAWON_RABBIT_MANAGEMENT_URL",
        )
    return Management.of_url(settings.rabbit_management_url.get_secret_value())


def _password(service: str) -> str:
    name = f"TAAWON_{service.upper()}_BROKER_PASSWORD"
    password = os.environ.get(name)
    if not password:
        raise Invalid(
            Sentence(
                "set {name} to the password of the broker user {service}",
                name=name,
                service=service,
            ),
            field=name,
        )
    return password
