"""Everything that a person, a program or a file can make happen in the registry."""

from .accounts import bootstrap_operator, create_account
from .announcements import announce_register
from .cooperatives import change_cooperative, register_cooperative
from .imports import Progress, import_register
from .partners import create_api_client, register_partner
from .sealing import open_contact, seal_contact
from .tokens import TokenRefused, issue_to_account, issue_to_client, rotate_signing_key

__all__ = [
    "Progress",
    "TokenRefused",
    "announce_register",
    "bootstrap_operator",
    "change_cooperative",
    "create_account",
    "create_api_client",
    "import_register",
    "issue_to_account",
    "issue_to_client",
    "open_contact",
    "register_cooperative",
    "register_partner",
    "rotate_signing_key",
    "seal_contact",
]
