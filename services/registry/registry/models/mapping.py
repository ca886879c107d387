"""Which classes of the domain rest in which tables; cooperatives are rows (`rows`)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import orm

from registry.domain import (
    Account,
    ApiClient,
    LinkedIdentity,
    Partner,
    PersonRequest,
    RegisterImport,
    SigningKey,
)

from .tables import (
    account,
    api_client,
    linked_identity,
    metadata,
    partner,
    person_request,
    register_import,
    signing_key,
)

mapping: Final = orm.registry(metadata=metadata)
mapping.map_imperatively(Partner, partner)
mapping.map_imperatively(ApiClient, api_client)
mapping.map_imperatively(Account, account)
mapping.map_imperatively(LinkedIdentity, linked_identity)
mapping.map_imperatively(SigningKey, signing_key)
mapping.map_imperatively(RegisterImport, register_import)
mapping.map_imperatively(PersonRequest, person_request)
