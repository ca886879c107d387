"""Keep the audience that was confirmed.

Revision: f0003, after f0002.
"""

import sqlalchemy as sa
from alembic import op

revision = 'f0003'
down_revision = 'f0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('calls', sa.Column('confirmed_audience', sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column('calls', 'confirmed_audience')
