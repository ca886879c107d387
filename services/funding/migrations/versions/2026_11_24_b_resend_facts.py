"""Send facts again.

Revision: f0002, after bf6ace9063de.
"""

import sqlalchemy as sa
from alembic import op

revision = 'f0002'
down_revision = 'bf6ace9063de'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
