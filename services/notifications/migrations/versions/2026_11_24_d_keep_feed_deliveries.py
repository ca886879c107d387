"""Keep when and through which door a feed went out; audiences that were confirmed.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('fanout_approval_decision',
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('subject_id', sa.UUID(), nullable=False),
    sa.Column('state', sa.Enum('held', 'released', 'stopped', name='approvalstate', native_enum=False, length=12), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('decided_by', sa.UUID(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_fanout_approval_decision'))
    )
    op.create_index('ix_fanout_approval_decision_subject', 'fanout_approval_decision', ['subject_id', 'seq'], unique=False)
    op.execute('INSERT INTO fanout_approval_decision (subject_id, state, reason, decided_by, decided_at)'
               ' SELECT subject_id, state, reason, decided_by, decided_at FROM fanout_approval'
               ' ORDER BY decided_at, subject_id')
    op.alter_column('fanout_approval', 'decided_by', nullable=True)
    op.create_table('feed_delivery',
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('door', sa.Text(), nullable=False),
    sa.Column('first_position', sa.BigInteger(), nullable=False),
    sa.Column('last_position', sa.BigInteger(), nullable=False),
    sa.Column('times', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('unsure', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('first_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('slug', 'door', 'first_position', 'last_position', name=op.f('pk_feed_delivery'))
    )
    # What went out before this was kept has no time.
    op.execute("INSERT INTO feed_delivery (slug, door, first_position, last_position, times)"
               " SELECT slug, 'amqp', n, least(n + 99, delivered_position), 1"
               " FROM amqp_door, generate_series(1, delivered_position, 100) AS n")
    op.create_table('feed_gap',
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('sending', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('times', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('noticed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_by', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('slug', 'position', name=op.f('pk_feed_gap'))
    )
    op.create_index('ix_feed_gap_open', 'feed_gap', ['slug', 'position'], unique=False, postgresql_where=sa.text('closed_at IS NULL'))
    op.create_table('feed_replay',
    sa.Column('replay_id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('first_position', sa.BigInteger(), nullable=False),
    sa.Column('last_position', sa.BigInteger(), nullable=False),
    sa.Column('next_position', sa.BigInteger(), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('done_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('replay_id', name=op.f('pk_feed_replay'))
    )
    op.create_index('ix_feed_replay_waiting', 'feed_replay', ['slug'], unique=True, postgresql_where=sa.text('done_at IS NULL'))
    op.execute('CREATE TRIGGER door_notify AFTER INSERT ON feed_replay'
               ' FOR EACH STATEMENT EXECUTE FUNCTION door_notify()')


def downgrade() -> None:
    op.drop_table('feed_replay')
    op.drop_table('feed_gap')
    op.drop_table('feed_delivery')
    # What notifications held by itself has nobody to name: the oldest program can't show it.
    op.execute("UPDATE fanout_approval SET decided_by = '00000000-0000-0000-0000-000000000000'"
               ' WHERE decided_by IS NULL')
    op.alter_column('fanout_approval', 'decided_by', nullable=False)
    op.drop_table('fanout_approval_decision')
