"""A service's own user, said to the broker: its queues to read, its own events to publish."""

from .management import Management
from .topology import EVENTS, BrokerUser


def put_service_user(management: Management, user: BrokerUser, password: str, vhost: str) -> None:
    """The user with exactly these rights in the vhost afterwards, also where it was there."""
    management.put_user(user.service, password)
    management.put_permissions(
        vhost, user.service, configure=user.configure, write=user.write, read=user.read
    )
    management.put_topic_permissions(vhost, user.service, EVENTS, write=user.topic_write, read=".*")
