"""Keep the audience that was confirmed.

Revision: i0003, after i0002.
"""

import sqlalchemy as sa
from alembic import op

revision = 'i0003'
down_revision = 'i0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('ideas', sa.Column('confirmed_audience', sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column('ideas', 'confirmed_audience')
