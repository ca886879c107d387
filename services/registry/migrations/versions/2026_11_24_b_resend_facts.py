"""Send facts again.

Revision: r0002, after 20aaceb2d4fd.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0002'
down_revision = '20aaceb2d4fd'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
