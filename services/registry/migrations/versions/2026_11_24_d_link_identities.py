"""Link accounts to identities of another issuer.

Revision: r0004, after r0003.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0004'
down_revision = 'r0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
