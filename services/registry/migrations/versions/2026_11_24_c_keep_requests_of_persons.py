"""Keep the requests of persons.

Revision: r0003, after r0002.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0003'
down_revision = 'r0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
