"""Create notifications.

Revision: 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op
from notifications.partners.models import WAKE_SQL
from shared.kernel.data.tables import APPEND_ONLY_SQL, NOTIFY_SQL, statements
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('alert',
    sa.Column('subject_id', sa.UUID(), nullable=False),
    sa.Column('cooperative_id', sa.UUID(), nullable=False),
    sa.Column('edition', sa.Integer(), nullable=False),
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('subject_version', sa.Integer(), nullable=False),
    sa.Column('audience_version', sa.Integer(), nullable=False),
    sa.Column('eligible_tracks', sa.Integer(), nullable=False),
    sa.Column('unknown_tracks', sa.Integer(), nullable=False),
    sa.Column('unknown_fields', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('subject_id', 'cooperative_id', 'edition', name=op.f('pk_alert'))
    )
    op.create_index('ix_alert_inbox', 'alert', ['cooperative_id', 'seq'], unique=False)
    op.create_table('alert_state',
    sa.Column('cooperative_id', sa.UUID(), nullable=False),
    sa.Column('seq', sa.BigInteger(), nullable=False),
    sa.Column('account_id', sa.UUID(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('cooperative_id', 'seq', 'account_id', name=op.f('pk_alert_state'))
    )
    op.create_table('audience',
    sa.Column('cooperative_id', sa.UUID(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('name_fr', sa.Text(), nullable=True),
    sa.Column('name_ar', sa.Text(), nullable=True),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('applicant_type', sa.Text(), nullable=True),
    sa.Column('legal_status', sa.Text(), nullable=True),
    sa.Column('activity_status', sa.Text(), nullable=True),
    sa.Column('region', sa.Text(), nullable=True),
    sa.Column('province', sa.Text(), nullable=True),
    sa.Column('commune', sa.Text(), nullable=True),
    sa.Column('sector', sa.Text(), nullable=True),
    sa.Column('branch', sa.Text(), nullable=True),
    sa.Column('members_total', sa.Integer(), nullable=True),
    sa.Column('members_women', sa.Integer(), nullable=True),
    sa.Column('members_youth', sa.Integer(), nullable=True),
    sa.Column('members_women_or_youth', sa.Integer(), nullable=True),
    sa.Column('created_on', sa.Date(), nullable=True),
    sa.Column('contact_sealed', sa.Text(), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('cooperative_id', name=op.f('pk_audience'))
    )
    op.create_index('ix_audience_province', 'audience', ['province'], unique=False)
    op.create_index('ix_audience_region_sector', 'audience', ['region', 'sector'], unique=False)
    op.create_index('ix_audience_sector', 'audience', ['sector'], unique=False)
    op.create_table('audience_history',
    sa.Column('cooperative_id', sa.UUID(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('applicant_type', sa.Text(), nullable=True),
    sa.Column('legal_status', sa.Text(), nullable=True),
    sa.Column('activity_status', sa.Text(), nullable=True),
    sa.Column('region', sa.Text(), nullable=True),
    sa.Column('province', sa.Text(), nullable=True),
    sa.Column('commune', sa.Text(), nullable=True),
    sa.Column('sector', sa.Text(), nullable=True),
    sa.Column('branch', sa.Text(), nullable=True),
    sa.Column('members_total', sa.Integer(), nullable=True),
    sa.Column('members_women', sa.Integer(), nullable=True),
    sa.Column('members_youth', sa.Integer(), nullable=True),
    sa.Column('members_women_or_youth', sa.Integer(), nullable=True),
    sa.Column('created_on', sa.Date(), nullable=True),
    sa.Column('valid_from', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('valid_to', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('cooperative_id', 'version', name=op.f('pk_audience_history'))
    )
    op.create_table('partner',
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('name', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('kind', sa.Text(), nullable=True),
    sa.Column('language', sa.Text(), server_default='fr', nullable=False),
    sa.Column('version', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('last_position', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_partner'))
    )
    op.create_table('subject',
    sa.Column('subject_id', sa.UUID(), nullable=False),
    sa.Column('service', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('state', sa.Enum('open', 'over', 'void', name='subjectstate', native_enum=False, length=12), nullable=False),
    sa.Column('content', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reference_on', sa.Date(), nullable=False),
    sa.Column('closes_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('notified_version', sa.Integer(), nullable=True),
    sa.Column('fanned_out_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('eligible', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('unknown', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('alerted', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.PrimaryKeyConstraint('subject_id', name=op.f('pk_subject'))
    )
    op.create_table('subject_history',
    sa.Column('subject_id', sa.UUID(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('content', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('reference_on', sa.Date(), nullable=False),
    sa.Column('heard_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('subject_id', 'version', name=op.f('pk_subject_history'))
    )
    op.create_table('amqp_door',
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('queue', sa.Text(), nullable=False),
    sa.Column('username', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('state', sa.Enum('requested', 'ready', 'closed', name='doorstate', native_enum=False, length=12), nullable=False),
    sa.Column('delivered_position', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('requested_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('ready_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['slug'], ['partner.slug'], name=op.f('fk_amqp_door_slug_partner')),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_amqp_door')),
    sa.UniqueConstraint('queue', name=op.f('uq_amqp_door_queue'))
    )
    op.create_table('feed_entry',
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('event_id', sa.UUID(), nullable=False),
    sa.Column('topic', sa.Text(), nullable=False),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('headers', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('subscriptions', postgresql.ARRAY(sa.UUID()), nullable=False),
    sa.ForeignKeyConstraint(['slug'], ['partner.slug'], name=op.f('fk_feed_entry_slug_partner')),
    sa.PrimaryKeyConstraint('slug', 'position', name=op.f('pk_feed_entry')),
    sa.UniqueConstraint('slug', 'event_id', name=op.f('uq_feed_entry_slug'))
    )
    op.create_table('subscription',
    sa.Column('subscription_id', sa.UUID(), nullable=False),
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('filter', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('is_active', sa.Boolean(), server_default=sa.text('true'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['slug'], ['partner.slug'], name=op.f('fk_subscription_slug_partner')),
    sa.PrimaryKeyConstraint('subscription_id', name=op.f('pk_subscription'))
    )
    op.create_index(op.f('ix_subscription_slug'), 'subscription', ['slug'], unique=False)
    op.create_table('audit',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('actor_id', sa.UUID(), nullable=True),
    sa.Column('actor_roles', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('on_behalf_of', sa.UUID(), nullable=True),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject_id', sa.UUID(), nullable=True),
    sa.Column('before', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('after', postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    sa.Column('correlation_id', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    op.create_index('ix_audit_subject', 'audit', ['subject_id', 'id'], unique=False)
    op.create_table('dead_letter',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('queue', sa.Text(), nullable=False),
    sa.Column('message_key', sa.Text(), nullable=False),
    sa.Column('message_id', sa.Text(), nullable=True),
    sa.Column('topic', sa.Text(), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('headers', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('error', sa.Text(), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('1'), nullable=False),
    sa.Column('first_failed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_failed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Text(), server_default='dead', nullable=False),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by', sa.Text(), nullable=True),
    sa.Column('decision_reason', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dead_letter')),
    sa.UniqueConstraint('queue', 'message_key', name=op.f('uq_dead_letter_queue'))
    )
    op.create_table('inbox',
    sa.Column('queue', sa.Text(), nullable=False),
    sa.Column('event_id', sa.UUID(), nullable=False),
    sa.Column('run', sa.Text(), server_default='', nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('queue', 'event_id', 'run', name=op.f('pk_inbox'))
    )
    op.create_index('ix_inbox_received_at', 'inbox', ['received_at'], unique=False)
    op.create_table('outbox',
    sa.Column('seq', sa.BigInteger(), sa.Identity(always=True, cache=1), nullable=False),
    sa.Column('event_id', sa.UUID(), nullable=False),
    sa.Column('topic', sa.Text(), nullable=False),
    sa.Column('aggregate_id', sa.UUID(), nullable=False),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('headers', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('attempts', sa.Integer(), server_default=sa.text('0'), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('parked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_outbox')),
    sa.UniqueConstraint('event_id', name=op.f('uq_outbox_event_id'))
    )
    op.create_index('ix_outbox_pending', 'outbox', ['seq'], unique=False, postgresql_where=sa.text('published_at IS NULL'))
    for statement in (*statements(NOTIFY_SQL), *statements(APPEND_ONLY_SQL), *WAKE_SQL):
        op.execute(statement)


def downgrade() -> None:
    op.drop_index('ix_outbox_pending', table_name='outbox', postgresql_where=sa.text('published_at IS NULL'))
    op.drop_table('outbox')
    op.drop_index('ix_inbox_received_at', table_name='inbox')
    op.drop_table('inbox')
    op.drop_table('dead_letter')
    op.drop_index('ix_audit_subject', table_name='audit')
    op.drop_table('audit')
    op.drop_index(op.f('ix_subscription_slug'), table_name='subscription')
    op.drop_table('subscription')
    op.drop_table('feed_entry')
    op.drop_table('amqp_door')
    op.drop_table('subject_history')
    op.drop_table('subject')
    op.drop_table('partner')
    op.drop_table('audience_history')
    op.drop_index('ix_audience_sector', table_name='audience')
    op.drop_index('ix_audience_region_sector', table_name='audience')
    op.drop_index('ix_audience_province', table_name='audience')
    op.drop_table('audience')
    op.drop_table('alert_state')
    op.drop_index('ix_alert_inbox', table_name='alert')
    op.drop_table('alert')
    for function in ('outbox_notify', 'audit_append_only', 'feed_notify', 'door_notify'):
        op.execute(f'DROP FUNCTION {function}')
