"""Keep the requests of persons.

Revision: r0003, after r0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = 'r0003'
down_revision = 'r0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('cooperative', sa.Column('contact_settled_at', sa.DateTime(timezone=True), nullable=True))
    op.create_table('person_request',
    sa.Column('id', sa.UUID(), nullable=False),
    sa.Column('kind', sa.Enum('access', 'rectification', 'erasure', name='kind', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('state', sa.Enum('opened', 'answered', 'completed', name='state', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('ground', sa.Enum('person', 'representative', 'authority', name='ground', native_enum=False, create_constraint=True), nullable=False),
    sa.Column('reference', sa.Text(), nullable=False),
    sa.Column('opened_by', sa.UUID(), nullable=False),
    sa.Column('opened_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('completed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cooperative_ids', postgresql.ARRAY(sa.UUID()), nullable=False),
    sa.Column('account_ids', postgresql.ARRAY(sa.UUID()), nullable=False),
    sa.Column('waiting_for', postgresql.ARRAY(sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person_request'))
    )
    op.create_index('ix_person_request_due', 'person_request', ['due_on', 'id'], unique=False, postgresql_where=sa.text("state <> 'completed'"))
    op.create_table('person_answer',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('request_id', sa.UUID(), nullable=False),
    sa.Column('service', sa.Text(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('counts', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('actions', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('report_sealed', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['request_id'], ['person_request.id'], name=op.f('fk_person_answer_request_id_person_request')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_person_answer')),
    sa.UniqueConstraint('request_id', 'service', name=op.f('uq_person_answer_request_id'))
    )


def downgrade() -> None:
    op.drop_table('person_answer')
    op.drop_index('ix_person_request_due', table_name='person_request', postgresql_where=sa.text("state <> 'completed'"))
    op.drop_table('person_request')
    op.drop_column('cooperative', 'contact_settled_at')
