"""Names that are part of the interface: group, annotations, finalizer, field manager."""

from typing import Final

GROUP: Final = "aurora.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "aurora"

FIELD_MANAGER: Final = "aurora"
FINALIZER: Final = f"{GROUP}/restore"
"""Exists on a ModelDeployment only while a change of ours is in force."""

PAUSED_ANNOTATION: Final = f"{GROUP}/paused"
"""On a ModelDeployment: any value but "false" stops every write for it, rollbacks too."""
LAST_DECISION_ANNOTATION: Final = f"{GROUP}/last-decision"
"""On the ModelDeployment and on the object that was changed: compact JSON, 2 KiB at most."""
ORIGINAL_ANNOTATION: Final = f"{GROUP}/original"
"""On a ModelDeployment: the values found before the first change, as JSON."""

MODEL_LABEL: Final = f"{GROUP}/model"
"""On a Decision: the ModelDeployment's name, cut to 63 characters."""
ACTION_LABEL: Final = f"{GROUP}/action"

CONTROL_CONFIGMAP: Final = "aurora-control"
"""In the operator's namespace; read before every write, absent or unreadable counts as stop."""
OPERATOR_NAMESPACE: Final = "aurora-system"
OPERATOR_USER: Final = f"system:serviceaccount:{OPERATOR_NAMESPACE}:aurora"
