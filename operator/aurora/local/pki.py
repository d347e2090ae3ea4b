"""Certificates and keys of one control plane, made with `cryptography`."""

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 3650
SERVICE_IP = "10.96.0.1"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate to sign: `name` names its files, `organizations` are Kubernetes groups."""

    name: str
    common_name: str
    organizations: tuple[str, ...] = ()
    server: bool = False


IDENTITIES = (
    Identity("apiserver", "kube-apiserver", server=True),
    Identity("etcd", "etcd", server=True),
    Identity("admin", "aurora-local-admin", ("system:masters",)),
    # One identity for all controllers, instead of a service account each: 2 s faster at start.
    Identity("kube-controller-manager", "system:kube-controller-manager", ("system:masters",)),
    Identity("kube-scheduler", "system:kube-scheduler"),
    Identity("kwok", "system:kwok", ("system:masters",)),
    Identity("front-proxy", "front-proxy"),
)


def create(folder: Path, *, now: dt.datetime) -> None:
    """Write ca, every identity and the service-account key pair into `folder`.

    Everything that is there is kept, so that a control plane that starts again keeps its users.
    """
    if (folder / "complete").exists():
        return
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aurora-local-ca")])
    ca = _certificate(ca_name, ca_name, ca_key.public_key(), now).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    signed_ca = ca.sign(ca_key, hashes.SHA256())
    _write_certificate(folder / "ca.crt", signed_ca)
    for identity in IDENTITIES:
        key = ec.generate_private_key(ec.SECP256R1())
        request = _leaf(identity, ca_name, key.public_key(), now)
        _write_certificate(folder / f"{identity.name}.crt", request.sign(ca_key, hashes.SHA256()))
        _write_key(folder / f"{identity.name}.key", key)
    _write_service_account_keys(folder)
    (folder / "complete").touch()


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # A clock that is set back a little must not make the control plane unusable.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
    )


def _leaf(
    identity: Identity,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
) -> x509.CertificateBuilder:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in identity.organizations]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, identity.common_name))
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if identity.server:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = _certificate(x509.Name(names), issuer, public_key, now).add_extension(
        x509.ExtendedKeyUsage(usages), critical=False
    )
    if not identity.server:
        return builder
    return builder.add_extension(x509.SubjectAlternativeName(_server_names()), critical=False)


def _server_names() -> list[x509.GeneralName]:
    hosts = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    addresses = ("127.0.0.1", SERVICE_IP)
    return [x509.DNSName(host) for host in hosts] + [
        x509.IPAddress(ipaddress.ip_address(address)) for address in addresses
    ]


def _write_service_account_keys(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    _write_key(folder / "service-account.key", key)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "service-account.pub").write_bytes(public)


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
