"""Everything that a person, a program or a file can make happen in the registry."""

from .account_care import (
    change_account,
    change_password,
    disable_account,
    enable_account,
    require_account,
    reset_password,
)
from .accounts import account_of_email, bootstrap_operator, create_account
from .cooperatives import change_cooperative, register_cooperative
from .exchange import TOKEN_EXCHANGE, issue_to_act_for, issue_to_linked
from .failures import forget_old_failures
from .identities import link_identity, unlink_identity
from .imports import Progress, forget_problems, import_register
from .partners import create_api_client, register_partner, require_partner, revoke_api_client
from .person_answers import forget_reports, note_answer
from .person_part import registry_part
from .persons import open_request, release_contact
from .recognition import Who
from .sealing import open_contact, seal_contact
from .snapshots import SNAPSHOTS
from .tokens import IssuedToken, TokenRefused, issue_to_account, issue_to_client, rotate_signing_key

__all__ = [
    "SNAPSHOTS",
    "TOKEN_EXCHANGE",
    "IssuedToken",
    "Progress",
    "TokenRefused",
    "Who",
    "account_of_email",
    "bootstrap_operator",
    "change_account",
    "change_cooperative",
    "change_password",
    "create_account",
    "create_api_client",
    "disable_account",
    "enable_account",
    "forget_old_failures",
    "forget_problems",
    "forget_reports",
    "import_register",
    "issue_to_account",
    "issue_to_act_for",
    "issue_to_client",
    "issue_to_linked",
    "link_identity",
    "note_answer",
    "open_contact",
    "open_request",
    "register_cooperative",
    "register_partner",
    "registry_part",
    "release_contact",
    "require_account",
    "require_partner",
    "reset_password",
    "revoke_api_client",
    "rotate_signing_key",
    "seal_contact",
    "unlink_identity",
]
