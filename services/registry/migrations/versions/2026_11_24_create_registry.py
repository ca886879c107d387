"""create registry."""

from alembic import op
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from shared.kernel.data.tables import APPEND_ONLY_SQL, NOTIFY_SQL

revision = '20aaceb2d4fd'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Trusted since PostgreSQL 13: the owner of the database may create it.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table('account',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('email_sealed', sa.Text(), nullable=False),
    sa.Column('email_mark', sa.Text(), nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=False),
    sa.Column('roles', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('provinces', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.Column('cooperatives', postgresql.ARRAY(sa.UUID()), nullable=False),
    sa.Column('partner', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_account')),
    sa.UniqueConstraint('email_mark', name=op.f('uq_account_email_mark'))
    )
    op.create_table('cooperative',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('court_key', sa.Text(), nullable=False),
    sa.Column('register_key', sa.Text(), nullable=False),
    sa.Column('digest', sa.Text(), nullable=False),
    sa.Column('search_key', sa.Text(), nullable=False),
    sa.Column('court', sa.Text(), nullable=False),
    sa.Column('local_register_no', sa.Text(), nullable=False),
    sa.Column('region', sa.Text(), nullable=False),
    sa.Column('province', sa.Text(), nullable=False),
    sa.Column('name_fr', sa.Text(), nullable=True),
    sa.Column('name_ar', sa.Text(), nullable=True),
    sa.Column('ice', sa.Text(), nullable=True),
    sa.Column('applicant_type', sa.Text(), nullable=False),
    sa.Column('governance', sa.Text(), nullable=True),
    sa.Column('legal_status', sa.Text(), nullable=False),
    sa.Column('activity_status', sa.Text(), nullable=True),
    sa.Column('created_on', sa.Date(), nullable=True),
    sa.Column('commune', sa.Text(), nullable=True),
    sa.Column('sector', sa.Text(), nullable=True),
    sa.Column('branch', sa.Text(), nullable=True),
    sa.Column('members_total', sa.Integer(), nullable=True),
    sa.Column('members_women', sa.Integer(), nullable=True),
    sa.Column('members_youth', sa.Integer(), nullable=True),
    sa.Column('members_women_or_youth', sa.Integer(), nullable=True),
    sa.Column('capital_centimes', sa.BigInteger(), nullable=True),
    sa.Column('language', sa.Text(), nullable=False),
    sa.Column('consent_source', sa.Text(), nullable=True),
    sa.Column('is_test_data', sa.Boolean(), nullable=False),
    sa.Column('contact_sealed', sa.Text(), nullable=True),
    sa.Column('contact_mark', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('as_of_on', sa.Date(), nullable=False),
    sa.Column('provenance', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('version >= 1', name=op.f('ck_cooperative_version')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_cooperative')),
    sa.UniqueConstraint('court_key', 'register_key', name=op.f('uq_cooperative_court_key'))
    )
    op.create_index('ix_cooperative_activity_status', 'cooperative', ['activity_status', 'id'], unique=False)
    op.create_index('ix_cooperative_legal_status', 'cooperative', ['legal_status', 'id'], unique=False, postgresql_where=sa.text("legal_status <> 'registered'"))
    op.create_index('ix_cooperative_province', 'cooperative', ['province', 'id'], unique=False)
    op.create_index('ix_cooperative_region', 'cooperative', ['region', 'id'], unique=False)
    op.create_index('ix_cooperative_search', 'cooperative', ['search_key'], unique=False, postgresql_using='gin', postgresql_ops={'search_key': 'gin_trgm_ops'})
    op.create_index('ix_cooperative_sector', 'cooperative', ['sector', 'id'], unique=False)
    op.create_table('partner',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('slug', sa.Text(), nullable=False),
    sa.Column('name_fr', sa.Text(), nullable=False),
    sa.Column('name_ar', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('language', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_partner')),
    sa.UniqueConstraint('slug', name=op.f('uq_partner_slug'))
    )
    op.create_table('register_import',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('state', sa.Enum('running', 'finished', 'refused', 'interrupted', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('rows_read', sa.Integer(), nullable=False),
    sa.Column('rows_added', sa.Integer(), nullable=False),
    sa.Column('rows_changed', sa.Integer(), nullable=False),
    sa.Column('rows_unchanged', sa.Integer(), nullable=False),
    sa.Column('rows_refused', sa.Integer(), nullable=False),
    sa.Column('events', sa.Integer(), nullable=False),
    sa.Column('refusal', sa.Text(), nullable=True),
    sa.Column('problems', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_register_import'))
    )
    op.create_table('sign_in_failure',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('email_mark', sa.Text(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sign_in_failure'))
    )
    op.create_index('ix_sign_in_failure_email_mark', 'sign_in_failure', ['email_mark', 'at'], unique=False)
    op.create_table('signing_key',
    sa.Column('kid', sa.Text(), nullable=False),
    sa.Column('public_jwk', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('private_sealed', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('state', sa.Enum('active', 'retired', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('kid', name=op.f('pk_signing_key'))
    )
    op.create_index('uq_signing_key_active', 'signing_key', ['state'], unique=True, postgresql_where=sa.text("state = 'active'"))
    op.create_table('api_client',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('partner_id', sa.UUID(), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('secret_digest', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['partner_id'], ['partner.id'], name=op.f('fk_api_client_partner_id_partner')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_client'))
    )
    op.create_index(op.f('ix_api_client_partner_id'), 'api_client', ['partner_id'], unique=False)
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
    # Scripts of several statements: only the driver's own call takes them.
    driver = op.get_bind().connection.dbapi_connection
    for script in (NOTIFY_SQL, APPEND_ONLY_SQL):
        driver.run_async(lambda connection, script=script: connection.execute(script))


def downgrade() -> None:
    op.drop_index('ix_outbox_pending', table_name='outbox', postgresql_where=sa.text('published_at IS NULL'))
    op.drop_table('outbox')
    op.drop_index('ix_inbox_received_at', table_name='inbox')
    op.drop_table('inbox')
    op.drop_table('dead_letter')
    op.drop_index('ix_audit_subject', table_name='audit')
    op.drop_table('audit')
    op.drop_index(op.f('ix_api_client_partner_id'), table_name='api_client')
    op.drop_table('api_client')
    op.drop_index('uq_signing_key_active', table_name='signing_key', postgresql_where=sa.text("state = 'active'"))
    op.drop_table('signing_key')
    op.drop_index('ix_sign_in_failure_email_mark', table_name='sign_in_failure')
    op.drop_table('sign_in_failure')
    op.drop_table('register_import')
    op.drop_table('partner')
    op.drop_index('ix_cooperative_sector', table_name='cooperative')
    op.drop_index('ix_cooperative_search', table_name='cooperative', postgresql_using='gin', postgresql_ops={'search_key': 'gin_trgm_ops'})
    op.drop_index('ix_cooperative_region', table_name='cooperative')
    op.drop_index('ix_cooperative_province', table_name='cooperative')
    op.drop_index('ix_cooperative_legal_status', table_name='cooperative', postgresql_where=sa.text("legal_status <> 'registered'"))
    op.drop_index('ix_cooperative_activity_status', table_name='cooperative')
    op.drop_table('cooperative')
    op.drop_table('account')
    op.execute("DROP FUNCTION outbox_notify")
    op.execute("DROP FUNCTION audit_append_only")
