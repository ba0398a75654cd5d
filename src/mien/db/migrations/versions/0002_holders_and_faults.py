"""Who does a request with an Idempotency-Key, and what processes tell each other of ComfyUI instances.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, and make the table."""
    # Requests under way have no holder that could renew their lock; it ends by itself.
    op.add_column("idempotency", sa.Column("holder", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "comfy_faults",
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("instance", "what"),
    )
