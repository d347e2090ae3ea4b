"""Kubeconfigs with the certificates embedded, so that the file can be copied."""

import base64
import os
from pathlib import Path

import yaml

CONTEXT = "aurora-local"


def render(*, server: str, ca: bytes, certificate: bytes, key: bytes, user: str) -> str:
    """A kubeconfig with the one context `aurora-local`; the byte strings are PEM."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": CONTEXT,
                "cluster": {"server": server, "certificate-authority-data": _encode(ca)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": _encode(certificate),
                    "client-key-data": _encode(key),
                },
            }
        ],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    return yaml.safe_dump(document, sort_keys=False)


def write(path: Path, *, server: str, pki: Path, identity: str) -> None:
    """Write the kubeconfig of one identity of `pki`, readable by its owner only."""
    content = render(
        server=server,
        ca=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{identity}.crt").read_bytes(),
        key=(pki / f"{identity}.key").read_bytes(),
        user=f"{CONTEXT}-{identity}",
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
