"""What the registry keeps and the only ways it may change. Pure Python."""

from .accounts import Account, ApiClient, NoSuchPartner, OperatorExists, Partner, PartnerExists
from .cooperative import (
    AlreadyRegistered,
    Contact,
    Cooperative,
    Entry,
    Governance,
    NotInTheRegister,
    SealedContact,
    contradictions,
)
from .imports import ImportState, ImportUnderWay, NoSuchImport, RegisterImport
from .keys import KeyState, SigningKey

__all__ = [
    "Account",
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
    "contradictions",
]
