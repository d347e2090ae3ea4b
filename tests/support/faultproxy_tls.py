"""Both ends of the fault proxy's TLS: its own certificate, and the administrator's upstream.

Callers trust the proxy through the kubeconfig that `kubeconfig_to` writes; the proxy shows the API
server the client certificate of the control plane's own kubeconfig. So every caller is the
administrator: what RBAC refuses is tested elsewhere.
"""

import base64
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["kubeconfig_to", "own_certificate", "server_of", "upstream_context"]


def own_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, as one PEM file that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fault proxy")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "proxy.pem"
    path.touch(mode=0o600)
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def upstream_context(kubeconfig: Path) -> ssl.SSLContext:
    """What reaches the API server as the kubeconfig's user."""
    content = yaml.safe_load(kubeconfig.read_text())
    base, user = kubeconfig.parent, content["users"][0]["user"]
    authority = _bytes(content["clusters"][0]["cluster"], "certificate-authority", base)
    context = ssl.create_default_context(cadata=authority.decode())
    # OpenSSL reads a key from a file alone.
    pair = base / f".fault-proxy-{id(context)}.pem"
    pair.touch(mode=0o600)
    try:
        parts = [_bytes(user, name, base) for name in ("client-certificate", "client-key")]
        pair.write_bytes(b"".join(parts))
        context.load_cert_chain(pair)
    finally:
        pair.unlink()
    return context


def _bytes(entry: dict[str, Any], name: str, base: Path) -> bytes:
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (base / entry[name]).read_bytes()


def server_of(kubeconfig: Path) -> str:
    """The API server's URL."""
    content = yaml.safe_load(kubeconfig.read_text())
    return str(content["clusters"][0]["cluster"]["server"]).rstrip("/")


def kubeconfig_to(path: Path, *, url: str, certificate: Path) -> Path:
    """A kubeconfig that leads to the proxy; the token is a formality that nobody reads."""
    pem = certificate.read_text().partition("-----BEGIN PRIVATE KEY-----")[0]
    authority = base64.b64encode(pem.encode()).decode()
    cluster = {"server": url, "certificate-authority-data": authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "faults", "cluster": cluster}],
        "users": [{"name": "operator", "user": {"token": "any"}}],
        "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "operator"}}],
        "current-context": "faults",
    }
    path.write_text(yaml.safe_dump(document))
    return path
