"""Carries a decision out: idempotent, ordered, with the undo recorded before the effect."""
