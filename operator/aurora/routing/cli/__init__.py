"""`aurora routing`: what the routing engine would have done on recorded data."""

from aurora.routing.cli.app import app

__all__ = ["app"]
