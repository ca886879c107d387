"""Link accounts to identities of another issuer.

Revision: r0004, after r0003.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0004'
down_revision = 'r0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'linked_identity',
        sa.Column('id', sa.UUID(), nullable=False),
        sa.Column('account_id', sa.UUID(), nullable=False),
        sa.Column('issuer', sa.Text(), nullable=False),
        sa.Column('subject', sa.Text(), nullable=False),
        sa.Column('linked_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ['account_id'],
            ['account.id'],
            name=op.f('fk_linked_identity_account_id_account'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_linked_identity')),
        sa.UniqueConstraint('issuer', 'subject', name=op.f('uq_linked_identity_issuer')),
    )
    op.create_index(op.f('ix_linked_identity_account_id'), 'linked_identity', ['account_id'])


def downgrade() -> None:
    op.drop_index(op.f('ix_linked_identity_account_id'), table_name='linked_identity')
    op.drop_table('linked_identity')
