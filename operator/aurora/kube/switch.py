"""The kill switch as the ConfigMap `aurora-control` says it.

`data.stop` must be "false" for anything to be written. Absent, unreadable, or any other value
counts as set: a switch that fails open is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aurora.resources.names import CONTROL_CONFIGMAP

__all__ = ["REASON_KEY", "STOP_KEY", "Switch", "parse_switch"]

STOP_KEY: Final = "stop"
REASON_KEY: Final = "reason"


@dataclass(frozen=True, slots=True)
class Switch:
    """What the ConfigMap said.

    Attributes:
        readable: it exists and says clearly whether to stop.
        stopped: it says so, or it is not readable.
        detail: why writes are stopped and what to do; empty when they are not.
    """

    readable: bool
    stopped: bool
    detail: str = ""


def parse_switch(obj: Mapping[str, Any] | None) -> Switch:
    """Read the ConfigMap's object; None means that it does not exist."""
    if obj is None:
        return Switch(
            False,
            True,
            f"the ConfigMap {CONTROL_CONFIGMAP} does not exist: create it with "
            f'data.{STOP_KEY} "false" to let AURORA write',
        )
    data = obj.get("data")
    values = data if isinstance(data, Mapping) else {}
    stop = values.get(STOP_KEY)
    if stop == "false":
        return Switch(True, False)
    if stop == "true":
        reason = values.get(REASON_KEY)
        said = f": {reason}" if isinstance(reason, str) and reason else ""
        return Switch(True, True, f"stopped by the ConfigMap {CONTROL_CONFIGMAP}{said}")
    return Switch(
        False,
        True,
        f'data.{STOP_KEY} of the ConfigMap {CONTROL_CONFIGMAP} must be "true" or "false"',
    )
