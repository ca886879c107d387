"""Replay events.

Revision: i0002, after 2ad89f768cb6.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.kernel.data.tables import REPLAY_SQL, statements

revision = 'i0002'
down_revision = '2ad89f768cb6'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('outbox_horizon',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('forgotten_until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbox_horizon'))
    )
    # Where early facts are gone already, the oldest that is left says until when.
    op.execute(
        'INSERT INTO outbox_horizon (id, forgotten_until)'
        ' SELECT 1, coalesce((SELECT min(created_at) FROM outbox), now()) FROM outbox_seq_seq'
        ' WHERE is_called AND coalesce((SELECT min(seq) FROM outbox), 2) > 1'
    )
    op.create_table('replay',
    sa.Column('run', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('queue', sa.Text(), nullable=False),
    sa.Column('topics', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('event_id', sa.UUID(), nullable=True),
    sa.Column('position', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('total', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('done', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('sent', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('incomplete', sa.Text(), nullable=True),
    sa.Column('state', sa.Text(), server_default='running', nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('asked_by', sa.Text(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('ended_by', sa.Text(), nullable=True),
    sa.Column('ended_because', sa.Text(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('run', name=op.f('pk_replay'))
    )
    op.create_index('ix_replay_running', 'replay', ['asked_at'], unique=False, postgresql_where=sa.text("state = 'running'"))
    for statement in statements(REPLAY_SQL):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index('ix_replay_running', table_name='replay', postgresql_where=sa.text("state = 'running'"))
    op.drop_table('replay')
    op.drop_table('outbox_horizon')
    op.execute('DROP FUNCTION replay_notify')
