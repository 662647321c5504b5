"""roles

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A role belongs to all databases of a server: another one may have made it.
CREATE = """
    do $$
    begin
        create role web_anon nologin;
    exception when duplicate_object then
        null;
    end
    $$
"""
# What anybody may do, as pgwamp.toml maps the router's role `anonymous` to this one.
PRIVILEGES = (
    "select on customers, products, orders, order_items",
    "insert on orders, order_items",
    "update on products, orders",
)


def upgrade() -> None:
    """Grant what callers without a login need, and no more: they delete nothing."""
    op.execute(CREATE)
    for privilege in PRIVILEGES:
        op.execute(f"grant {privilege} to web_anon")


def downgrade() -> None:
    """Take it back. The role stays: other databases may use it."""
    for privilege in PRIVILEGES:
        op.execute(f"revoke {privilege} from web_anon")
