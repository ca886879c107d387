"""Count failed sign-ins by where they came from.

Revision: r0008, after r0007.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0008'
down_revision = 'r0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'sign_in_failure',
        sa.Column('place', sa.Text(), nullable=False, server_default=sa.text("''")),
    )


def downgrade() -> None:
    op.drop_column('sign_in_failure', 'place')
