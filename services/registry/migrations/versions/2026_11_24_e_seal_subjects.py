"""Seal the subjects of linked identities: some issuers use an e-mail for them.

Links are made again, for a migration has no key to seal them with; nothing was released before.

Revision: r0005, after r0004.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0005'
down_revision = 'r0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('DELETE FROM linked_identity')
    # Their marks were made without a key.
    op.execute('DELETE FROM sign_in_failure')
    op.drop_constraint(op.f('uq_linked_identity_issuer'), 'linked_identity', type_='unique')
    op.drop_column('linked_identity', 'subject')
    op.add_column('linked_identity', sa.Column('subject_sealed', sa.Text(), nullable=False))
    op.add_column('linked_identity', sa.Column('subject_mark', sa.Text(), nullable=False))
    op.create_unique_constraint(
        op.f('uq_linked_identity_subject_mark'), 'linked_identity', ['subject_mark']
    )


def downgrade() -> None:
    op.execute('DELETE FROM linked_identity')
    op.drop_constraint(op.f('uq_linked_identity_subject_mark'), 'linked_identity', type_='unique')
    op.drop_column('linked_identity', 'subject_mark')
    op.drop_column('linked_identity', 'subject_sealed')
    op.add_column('linked_identity', sa.Column('subject', sa.Text(), nullable=False))
    op.create_unique_constraint(
        op.f('uq_linked_identity_issuer'), 'linked_identity', ['issuer', 'subject']
    )
