"""Which columns of the registry are sealed, and which digests follow from their values."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from shared.kernel.auth.local_operator import LOCAL_OPERATOR
from shared.kernel.encryption.sealed_columns import SealedColumns
from shared.kernel.encryption.sealer import Sealer
from shared.kernel.encryption.stores import SealedColumn

from .identity import models
from .identity.usecases.accounts import email_mark
from .identity.usecases.identities import identity_marks
from .identity.usecases.login_throttling import delete_old_failures
from .identity.usecases.tokens import rotate_signing_key
from .privacy import models as privacy_models
from .register.contact_sealing import mark_of
from .register.domain.cooperative import Contact
from .register.models import rows, tables


def _contact_marks(row: Any, values: dict[str, Any], sealer: Sealer) -> dict[str, Any]:
    """The digest of a row includes the mark of its contact, so both are renewed together."""
    mark = mark_of(sealer, Contact(**values))
    entry = rows.cooperative_from(row).entry
    return {"contact_mark": mark, "digest": rows.digest_of(entry, mark)}


def _email_mark(row: Any, values: dict[str, Any], sealer: Sealer) -> dict[str, Any]:
    return {"email_mark": email_mark(sealer, values["email"])} if "email" in values else {}


def _subject_mark(row: Any, values: dict[str, Any], sealer: Sealer) -> dict[str, Any]:
    return {"subject_mark": identity_marks(sealer, row["issuer"], values["subject"])[0]}


async def _new_signing_key(session: AsyncSession, sealer: Sealer) -> str:
    return (await rotate_signing_key(session, sealer, LOCAL_OPERATOR)).kid


SEALED_COLUMNS: Final = SealedColumns(
    columns=(
        SealedColumn(
            table=tables.cooperative,
            key="id",
            column="contact_sealed",
            follows=("contact_mark", "digest"),
            renewing=_contact_marks,
        ),
        SealedColumn(
            table=models.account,
            key="id",
            column="email_sealed",
            follows=("email_mark",),
            renewing=_email_mark,
        ),
        SealedColumn(
            table=models.linked_identity,
            key="id",
            column="subject_sealed",
            follows=("subject_mark",),
            renewing=_subject_mark,
        ),
        SealedColumn(table=privacy_models.person_response, key="id", column="report_sealed"),
        SealedColumn(table=privacy_models.person_request, key="id", column="proposal_sealed"),
        SealedColumn(table=models.signing_key, key="kid", column="private_sealed"),
    ),
    # The marks of failed sign-ins can't be renewed: nobody knows of whom they are.
    afterwards=delete_old_failures,
    new_signing_key=_new_signing_key,
)
