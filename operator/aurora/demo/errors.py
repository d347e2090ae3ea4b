"""Errors of the demo.

DemoError           exit code 1: the demo could not be set up or was broken off
"""

from aurora.errors import AuroraError

__all__ = ["DemoError"]


class DemoError(AuroraError):
    """The demo could not be set up, or one of its programs stopped."""
