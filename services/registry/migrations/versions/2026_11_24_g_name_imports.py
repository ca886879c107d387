"""Let a cooperative name the import that entered it.

Revision: r0007, after r0006.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0007'
down_revision = 'r0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('cooperative', sa.Column('import_id', sa.UUID(), nullable=True))


def downgrade() -> None:
    op.drop_column('cooperative', 'import_id')
