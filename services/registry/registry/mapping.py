"""Which classes of the domain rest in which tables; cooperatives are rows (`rows`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import orm

from .identity.domain.accounts import Account, LinkedIdentity
from .identity.domain.api_clients import ApiClient
from .identity.domain.signing_keys import SigningKey
from .identity.models import account, api_client, linked_identity, signing_key
from .partners.domain import Partner
from .partners.models import partner
from .privacy.domain import PersonRequest
from .privacy.models import person_request
from .register.domain.imports import RegisterImport
from .register.models.tables import register_import
from .tables import metadata

mapping: Final = orm.registry(metadata=metadata)
mapping.map_imperatively(Partner, partner)
mapping.map_imperatively(ApiClient, api_client)
mapping.map_imperatively(Account, account)
mapping.map_imperatively(LinkedIdentity, linked_identity)
mapping.map_imperatively(SigningKey, signing_key)
mapping.map_imperatively(RegisterImport, register_import)
mapping.map_imperatively(PersonRequest, person_request)
