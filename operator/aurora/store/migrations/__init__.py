"""The record store's schema, one file in versions/ for each step, run by Alembic at start."""
