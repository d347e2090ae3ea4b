"""Measures what decisions did, and remembers it as cases."""
