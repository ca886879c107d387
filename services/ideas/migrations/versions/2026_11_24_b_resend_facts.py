"""Send facts again.

Revision: i0002, after 2ad89f768cb6.
"""

import sqlalchemy as sa
from alembic import op

revision = 'i0002'
down_revision = '2ad89f768cb6'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
