"""Keep the reasons of changes, and which subjects have to be matched again after a fan-out was held.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('subject_history', sa.Column('reason', sa.Text(), nullable=True))
    op.add_column('subject', sa.Column(
        'missed_matches', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    # Before this, nobody noted what came to match meanwhile: whatever is held may have missed some.
    op.execute("UPDATE subject SET missed_matches = true WHERE notified_version IS NOT NULL"
               " AND state = 'open' AND EXISTS (SELECT FROM fanout_approval a WHERE a.state <> 'released'"
               " AND a.subject_id IN (subject.subject_id, '00000000-0000-0000-0000-000000000000'))")


def downgrade() -> None:
    op.drop_column('subject', 'missed_matches')
    op.drop_column('subject_history', 'reason')
