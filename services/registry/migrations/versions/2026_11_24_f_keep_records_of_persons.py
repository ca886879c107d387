"""Keep which records a service holds under the accounts of a person.

Revision: r0006, after r0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = 'r0006'
down_revision = 'r0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'person_answer',
        sa.Column('records', postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column('person_answer', 'records')
