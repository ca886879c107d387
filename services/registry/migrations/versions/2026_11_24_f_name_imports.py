"""Let a cooperative name the import that entered it.

Revision: r0006, after r0004.
"""

import sqlalchemy as sa
from alembic import op

revision = 'r0006'
down_revision = 'r0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('cooperative', sa.Column('import_id', sa.UUID(), nullable=True))


def downgrade() -> None:
    op.drop_column('cooperative', 'import_id')
