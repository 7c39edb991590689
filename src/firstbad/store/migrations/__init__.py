"""Migrations of the store, applied by alembic when a database is opened."""
