"""Hold, release and stop fan-outs.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('fanout_approval',
    sa.Column('subject_id', sa.UUID(), nullable=False),
    sa.Column('state', sa.Enum('held', 'released', 'stopped', name='approvalstate', native_enum=False, length=12), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('decided_by', sa.UUID(), nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('subject_id', name=op.f('pk_fanout_approval'))
    )


def downgrade() -> None:
    op.drop_table('fanout_approval')
