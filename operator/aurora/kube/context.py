"""The namespace that a command works in when none is named, as kubectl chooses it."""

from pathlib import Path

from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigMerger

from aurora.errors import ConfigurationError
from aurora.kube.connection import Connection
