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
    pass


def downgrade() -> None:
    pass
