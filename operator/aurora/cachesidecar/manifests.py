"""The sidecar's containers, volumes and ConfigMap, as plain manifests."""

import shlex
from collections.abc import Mapping
from typing import Any

from aurora.cachesidecar.nginxconf import nginx_config, passthrough_config
from aurora.cachesidecar.settings import CacheSettings

__all__ = [
    "CACHE_CONTAINER",
    "EXPORTER_CONTAINER",
    "SIDECAR_VOLUMES",
    "added_requests",
    "config_map",
    "config_map_name",
    "sidecar_containers",
    "sidecar_volumes",
]

Json = dict[str, Any]
CACHE_CONTAINER = "aurora-cache"
EXPORTER_CONTAINER = "aurora-cache-exporter"
SIDECAR_VOLUMES = ("aurora-cache-config", "aurora-cache-store", "aurora-cache-log")
_MEBIBYTE = 1024 * 1024
# Between two runs of the cache manager (10 s) the store may outgrow max_size; a full tmpfs would
# cut answers short.
_STORE_HEADROOM = 128 * _MEBIBYTE
_NGINX_MEMORY = 256 * _MEBIBYTE
_NGINX_USER = 101

# A leftover socket of a crashed container would make bind() fail for ever: hence the rm. The
# config is copied because the mounted one changes under nginx; it is tried before each reload. A
# reload closes idle connections: for 5 s before it, answers ask callers to open new ones.
_START = """\
cd {run} || exit 1
rm -f inner.sock draining reloading
ulimit -n "$(ulimit -Hn)" 2>/dev/null
printf %s "$AURORA_PASSTHROUGH" >nginx.conf
if [ -s {config} ]; then cp {config} nginx.conf; fi
(
  while sleep 5; do
    if [ -s {config} ] && ! cmp -s {config} seen.conf; then
      cp {config} seen.conf
      if ! cmp -s seen.conf nginx.conf && nginx -t -q -e stderr -c {run}/seen.conf; then
        cp seen.conf nginx.conf
        : >reloading
        sleep 5
        kill -HUP "$(cat nginx.pid)"
        sleep 1
        rm -f reloading
      fi
    fi
  done
) &
exec nginx -e stderr -c {run}/nginx.conf -g 'daemon off;'
"""

# A container that is down makes its pod unready: a failing exporter must not take a model away.
_EXPORT = """\
trap 'kill $! 2>/dev/null; exit 0' TERM
while :; do
  aurora cache-exporter --socket {socket} --port {port} & wait $!
  sleep 2 & wait $!
done
"""


def config_map_name(deployment_name: str) -> str:
    """Return the ConfigMap's name; a Deployment's name leaves room for the suffix."""
    return f"{deployment_name[:240]}-aurora-cache"


def config_map(
    deployment: Mapping[str, Any], settings: CacheSettings, *, upstream_port: int, on: bool
) -> Json:
    """Return the ConfigMap to apply server-side: the configuration, and the switch while it is on.

    It is owned by the Deployment, so that it lives exactly as long as the pods that mount it.
    """
    metadata = deployment["metadata"]
    data = {"nginx.conf": nginx_config(settings, upstream_port=upstream_port)}
    if on:
        data["on"] = "true\n"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {"app.kubernetes.io/managed-by": "aurora"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": False,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "data": data,
    }


def added_requests(settings: CacheSettings) -> dict[str, str]:
    """Return what the sidecar adds to a pod's requests, for the surge pod's room."""
    memory = _memory_limit(settings) + (
        64 * _MEBIBYTE if settings.exporter_image is not None else 0
    )
    return {"cpu": "100m" if settings.exporter_image is None else "110m", "memory": str(memory)}


def sidecar_containers(
    settings: CacheSettings, *, port_name: str, upstream_port: int
) -> tuple[Json, ...]:
    """Return the native sidecars in starting order: the exporter's socket exists before nginx."""
    cache = _cache_container(settings, port_name=port_name, upstream_port=upstream_port)
    if settings.exporter_image is None:
        return (cache,)
    return _exporter_container(settings), cache


def sidecar_volumes(settings: CacheSettings, *, deployment_name: str) -> tuple[Json, ...]:
    """Return the volumes: config, in-memory store, and the exporter's socket when there is one."""
    config = {"name": config_map_name(deployment_name), "optional": True}
    store = {"medium": "Memory", "sizeLimit": _mebibytes(_store_limit(settings))}
    volumes: tuple[Json, ...] = (
        {"name": "aurora-cache-config", "configMap": config},
        {"name": "aurora-cache-store", "emptyDir": store},
    )
    if settings.exporter_image is None:
        return volumes
    socket = {"medium": "Memory", "sizeLimit": "1Mi"}
    return (*volumes, {"name": "aurora-cache-log", "emptyDir": socket})


def _cache_container(settings: CacheSettings, *, port_name: str, upstream_port: int) -> Json:
    layout = settings.layout
    script = _START.format(run=shlex.quote(layout.run_dir), config=shlex.quote(layout.config_file))
    fallback = passthrough_config(settings, upstream_port=upstream_port)
    mounts = [
        {"name": "aurora-cache-config", "mountPath": layout.config_dir, "readOnly": True},
        {"name": "aurora-cache-store", "mountPath": layout.run_dir},
    ]
    if settings.exporter_image is not None:
        mounts.append({"name": "aurora-cache-log", "mountPath": layout.log_dir})
    memory = _mebibytes(_memory_limit(settings))
    probe = {"tcpSocket": {"port": settings.listen_port}, "periodSeconds": 1}
    drain = ["/bin/sh", "-c", f": >{shlex.quote(layout.draining_file)}"]
    return {
        "name": CACHE_CONTAINER,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": ["/bin/sh", "-c", script],
        # A `$(` would be expanded by the kubelet; the configuration holds `$name` only.
        "env": [{"name": "AURORA_PASSTHROUGH", "value": fallback}],
        "ports": [
            {"name": port_name, "containerPort": settings.listen_port, "protocol": "TCP"},
        ],
        "startupProbe": {**probe, "failureThreshold": 30},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 3},
        # Runs when the pod is deleted, while the server still serves: callers are sent elsewhere.
        "lifecycle": {"preStop": {"exec": {"command": drain}}},
        "resources": {
            "requests": {"cpu": "100m", "memory": memory},
            "limits": {"cpu": "1", "memory": memory},
        },
        "securityContext": {**_restricted(), "runAsUser": _NGINX_USER},
        "volumeMounts": mounts,
    }


def _exporter_container(settings: CacheSettings) -> Json:
    layout = settings.layout
    socket = shlex.quote(layout.log_socket)
    script = _EXPORT.format(socket=socket, port=settings.exporter_port)
    return {
        "name": EXPORTER_CONTAINER,
        "image": settings.exporter_image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "command": ["/bin/sh", "-c", script],
        "ports": [
            {
                "name": "aurora-cache",
                "containerPort": settings.exporter_port,
                "protocol": "TCP",
            }
        ],
        "startupProbe": {
            "tcpSocket": {"port": settings.exporter_port},
            "periodSeconds": 1,
            "failureThreshold": 60,
        },
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "128Mi"},
        },
        "securityContext": _restricted(),
        "volumeMounts": [{"name": "aurora-cache-log", "mountPath": layout.log_dir}],
    }


def _restricted() -> Json:
    """Return a security context that the `restricted` Pod Security Standard accepts."""
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _store_limit(settings: CacheSettings) -> int:
    return settings.max_size_bytes + _STORE_HEADROOM


def _memory_limit(settings: CacheSettings) -> int:
    """Return the container's memory: an in-memory volume counts against whoever writes it."""
    return _store_limit(settings) + _NGINX_MEMORY


def _mebibytes(amount: int) -> str:
    return f"{-(-amount // _MEBIBYTE)}Mi"
