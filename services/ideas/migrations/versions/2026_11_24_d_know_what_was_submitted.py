"""Know which ideas were ever before moderators.

Revision: i0004, after i0003.
"""

import sqlalchemy as sa
from alembic import op

revision = 'i0004'
down_revision = 'i0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'ideas',
        sa.Column('was_submitted', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    )
    op.execute(
        """
        UPDATE ideas SET was_submitted = true WHERE EXISTS (
            SELECT FROM audit WHERE subject_id = ideas.id AND action = 'idea submitted'
        )
        """
    )


def downgrade() -> None:
    op.drop_column('ideas', 'was_submitted')
