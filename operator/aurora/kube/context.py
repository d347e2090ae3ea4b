"""The namespace that a command works in when none is named, chosen as kubectl does."""

import os
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import list_kube_config_contexts

from aurora.kube.connection import Connection

__all__ = ["context_namespace"]

_DEFAULT: Final = "default"
_POD_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def context_namespace(connection: Connection) -> str:
    """The namespace of the kubeconfig's context, of the pod, or `default`.

    A kubeconfig that cannot be read gives `default`: connecting with it says what is wrong.
    """
    explicit = connection.kubeconfig is not None or connection.context is not None
    if not explicit and "KUBERNETES_SERVICE_HOST" in os.environ and _POD_NAMESPACE.is_file():
        return _POD_NAMESPACE.read_text(encoding="utf-8").strip() or _DEFAULT
    default = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    try:
        file = str(connection.kubeconfig or default)
        contexts, current = list_kube_config_contexts(file)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError, TypeError, KeyError, AttributeError, yaml.YAMLError):
        return _DEFAULT
    return _namespace_of(contexts, connection.context or current["name"])


def _namespace_of(contexts: list[dict[str, Any]], name: str) -> str:
    for one in contexts:
        if one.get("name") == name:
            return (one.get("context") or {}).get("namespace") or _DEFAULT
    return _DEFAULT
