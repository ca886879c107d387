"""Makes the broker user of a service, which may read its queues and publish its own events."""

from .management import Management
from .topology import EVENTS, BrokerUser


def put_service_user(management: Management, user: BrokerUser, password: str, vhost: str) -> None:
    """Make the user, or change it: afterwards it has this password and exactly these rights."""
    management.put_user(user.service, password)
    management.put_permissions(
        vhost, user.service, configure=user.configure, write=user.write, read=user.read
    )
    management.put_topic_permissions(vhost, user.service, EVENTS, write=user.topic_write, read=".*")
