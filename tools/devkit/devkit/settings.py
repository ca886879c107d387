"""The settings of a service that `taawon up` runs on this machine, for commands that need them."""

from __future__ import annotations

from shared.kernel.messaging.addresses import VHOST

from .broker import running_databases, running_management
from .stack import Stack
from .stack_layout import stack_folder


def settings_here(service: str, needs_broker: bool) -> dict[str, str]:
    """Empty where nothing of `taawon up` runs. Nothing is started."""
    stack = Stack(stack_folder())
    databases = running_databases(stack.folder / "postgres") if stack.was_started() else None
    if databases is None:
        return {}
    known = {"database_url": databases.create(service), "seal_keys": stack.seal_key()}
    if running_management(stack.folder / "rabbitmq") is not None:
        if needs_broker:
            known["amqp_url"] = stack.broker.url_of(service, vhost=VHOST)
        if service == "notifications":
            known["partners_address"] = stack.partners_address
    return known
