"""Every error that AURORA raises on purpose.

    AuroraError
      UsageError            the caller's input is wrong; exit code 2 on a command line
      ConfigurationError    a setting is wrong or contradicts another
      ClusterError          the API server refused or could not be reached
        NotFoundError       the object does not exist where its absence matters
        ConflictError       the object changed since it was read; read again and decide again
        ForbiddenError      RBAC, admission or quota refused the request
        UnavailableError    no answer, 429 or 5xx; the same request may succeed later
      StoreError            the record store could not be read or written
      MetricsError          the metrics source could not answer

A message is one line and says what to do.
"""

__all__ = [
    "AuroraError",
    "ClusterError",
    "ConfigurationError",
    "ConflictError",
    "ForbiddenError",
    "MetricsError",
    "NotFoundError",
    "StoreError",
    "UnavailableError",
    "UsageError",
]


class AuroraError(Exception):
    """Base of every error raised on purpose; its text is one line for a person."""


class UsageError(AuroraError):
    """The caller's input is wrong."""


class ConfigurationError(AuroraError):
    """A setting is wrong or contradicts another."""


class ClusterError(AuroraError):
    """The API server refused a request or could not be reached."""


class NotFoundError(ClusterError):
    """The object does not exist, and its absence matters to the caller."""


class ConflictError(ClusterError):
    """The object changed since it was read, or a JSON Patch test failed."""


class ForbiddenError(ClusterError):
    """RBAC, admission or quota refused the request; repeating it does not help."""


class UnavailableError(ClusterError):
    """No answer, 429 or 5xx: the same request may succeed later.

    Attributes:
        retry_after: seconds that the server asked to wait, when it said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StoreError(AuroraError):
    """The record store could not be read or written."""


class MetricsError(AuroraError):
    """The metrics source could not answer."""
