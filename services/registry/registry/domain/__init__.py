"""What the registry keeps and the only ways it may change. Pure Python."""

from .accounts import (
    Account,
    AccountExists,
    ApiClient,
    NoSuchPartner,
    OperatorExists,
    Partner,
    PartnerExists,
    check_claims,
)
from .cooperative import (
    AlreadyRegistered,
    Contact,
    Cooperative,
    Entry,
    Governance,
    NotInTheRegister,
    SealedContact,
    StaleVersion,
    contradictions,
    record_of,
)
from .imports import PROBLEMS_KEPT, ImportState, ImportUnderWay, NoSuchImport, RegisterImport
from .keys import KeyState, SigningKey

__all__ = [
    "PROBLEMS_KEPT",
    "Account",
    "AccountExists",
    "AlreadyRegistered",
    "ApiClient",
    "Contact",
    "Cooperative",
    "Entry",
    "Governance",
    "ImportState",
    "ImportUnderWay",
    "KeyState",
    "NoSuchImport",
    "NoSuchPartner",
    "NotInTheRegister",
    "OperatorExists",
    "Partner",
    "PartnerExists",
    "RegisterImport",
    "SealedContact",
    "SigningKey",
    "StaleVersion",
    "check_claims",
    "contradictions",
    "record_of",
]
