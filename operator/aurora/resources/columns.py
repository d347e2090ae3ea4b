"""Printer columns: what `kubectl get` shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """One column; priority 1 is shown by `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0

    def as_schema(self) -> dict[str, str | int]:
        entry: dict[str, str | int] = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.json_path,
        }
        if self.priority:
            entry["priority"] = self.priority
        return entry
