"""The command line of every program: pure functions of folder, ports and settings.

Flags: kube-apiserver, kube-controller-manager and etcd follow what envtest and kwok's own
runtime pass, plus client certificates for etcd, so that another user of this machine cannot
write to the cluster behind the API server's back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aurora.local.layout import Layout
from aurora.local.ports import LOOPBACK, Ports

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.1/16"
ETCD_QUOTA_BYTES = 4 * 1024**3
PROMETHEUS_RETENTION = "6h"


@dataclass(frozen=True, slots=True)
class AutoscalerTiming:
    """Times of the horizontal pod autoscaler in seconds; the defaults are Kubernetes' own."""

    sync: int = 15
    downscale_stabilization: int = 300
    initial_readiness_delay: int = 30
    cpu_initialization: int = 300

    @classmethod
    def fast(cls) -> "AutoscalerTiming":
        """Short times for tests: an autoscaler step is seen within seconds."""
        return cls(
            sync=2, downscale_stabilization=5, initial_readiness_delay=1, cpu_initialization=5
        )


@dataclass(frozen=True, slots=True)
class Component:
    """One program: its name, what it executes, and whether it needs a ready API server."""

    name: str
    argv: tuple[str, ...]
    needs_apiserver: bool = False


def build(
    *,
    layout: Layout,
    ports: Ports,
    binaries: Mapping[str, Path],
    autoscaler: AutoscalerTiming,
) -> dict[str, Component]:
    """Every component by name, in start order."""
    argv = {
        "etcd": etcd(layout=layout, ports=ports),
        "prometheus": prometheus(layout=layout, ports=ports),
        "kube-apiserver": apiserver(layout=layout, ports=ports),
        "kube-controller-manager": controller_manager(
            layout=layout, ports=ports, autoscaler=autoscaler
        ),
        "kube-scheduler": scheduler(layout=layout, ports=ports),
        "kwok": kwok(layout=layout),
    }
    free_standing = {"etcd", "prometheus", "kube-apiserver"}
    return {
        name: Component(name, (str(binaries[name]), *flags), name not in free_standing)
        for name, flags in argv.items()
    }


def etcd(*, layout: Layout, ports: Ports) -> tuple[str, ...]:
    """One member, client certificates required, no fsync: it need not survive a power cut."""
    client = f"https://{LOOPBACK}:{ports.etcd}"
    peer = f"https://{LOOPBACK}:{ports.etcd_peer}"
    return (
        "--name=aurora-local",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=aurora-local={peer}",
        f"--quota-backend-bytes={ETCD_QUOTA_BYTES}",
        "--unsafe-no-fsync=true",
        "--client-cert-auth=true",
        "--peer-client-cert-auth=true",
        *_etcd_tls(layout.pki, prefix="", ca="trusted-ca-file"),
        *_etcd_tls(layout.pki, prefix="peer-", ca="trusted-ca-file"),
    )


def _etcd_tls(pki: Path, *, prefix: str, ca: str) -> tuple[str, ...]:
    return (
        f"--{prefix}{ca}={pki / 'ca.crt'}",
        f"--{prefix}cert-file={pki / 'etcd.crt'}",
        f"--{prefix}key-file={pki / 'etcd.key'}",
    )


def apiserver(*, layout: Layout, ports: Ports) -> tuple[str, ...]:
    """RBAC and service accounts on, aggregation configured, loopback only."""
    pki = layout.pki
    return (
        f"--etcd-servers=https://{LOOPBACK}:{ports.etcd}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'etcd.crt'}",
        f"--etcd-keyfile={pki / 'etcd.key'}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        # A loopback address is not a legal endpoint of the Service "kubernetes".
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--anonymous-auth=true",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        *_aggregation(pki),
        "--profiling=false",
    )


def _aggregation(pki: Path) -> tuple[str, ...]:
    return (
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        f"--requestheader-client-ca-file={pki / 'ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    )


def controller_manager(
    *, layout: Layout, ports: Ports, autoscaler: AutoscalerTiming
) -> tuple[str, ...]:
    """Every default controller; one replica, so no leader election."""
    hpa = "--horizontal-pod-autoscaler"
    return (
        f"--kubeconfig={layout.component_kubeconfig('kube-controller-manager')}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.controller_manager}",
        "--leader-elect=false",
        f"--root-ca-file={layout.pki / 'ca.crt'}",
        f"--service-account-private-key-file={layout.pki / 'service-account.key'}",
        "--use-service-account-credentials=false",
        f"{hpa}-sync-period={autoscaler.sync}s",
        f"{hpa}-downscale-stabilization={autoscaler.downscale_stabilization}s",
        f"{hpa}-initial-readiness-delay={autoscaler.initial_readiness_delay}s",
        f"{hpa}-cpu-initialization-period={autoscaler.cpu_initialization}s",
        # The default of 20 requests/s is a queue once a test makes thousands of pods.
        "--kube-api-qps=300",
        "--kube-api-burst=500",
        "--profiling=false",
    )


def scheduler(*, layout: Layout, ports: Ports) -> tuple[str, ...]:
    """The default scheduler; one replica, so no leader election."""
    return (
        f"--kubeconfig={layout.component_kubeconfig('kube-scheduler')}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.scheduler}",
        "--leader-elect=false",
        "--kube-api-qps=300",
        "--kube-api-burst=500",
        "--profiling=false",
    )


def kwok(*, layout: Layout) -> tuple[str, ...]:
    """Plays the kubelet of every Node of the cluster; see `stages` for how pods behave."""
    return (
        f"--kubeconfig={layout.component_kubeconfig('kwok')}",
        f"--config={layout.stages}",
        "--manage-all-nodes=true",
        f"--cidr={POD_CIDR}",
        f"--node-ip={LOOPBACK}",
        "--node-port=0",
        "--server-address=",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
    )


def prometheus(*, layout: Layout, ports: Ports) -> tuple[str, ...]:
    """Scrapes what lies in file_sd, reloads on POST /-/reload."""
    return (
        f"--config.file={layout.prometheus_config}",
        f"--storage.tsdb.path={layout.prometheus_data}",
        f"--storage.tsdb.retention.time={PROMETHEUS_RETENTION}",
        f"--web.listen-address={LOOPBACK}:{ports.prometheus}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    )


def prometheus_config(*, file_sd: Path, scrape_seconds: int) -> dict[str, object]:
    """The Prometheus configuration: one job fed by the files in `file_sd`."""
    interval = f"{scrape_seconds}s"
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "evaluation_interval": interval,
        },
        "scrape_configs": [
            {
                "job_name": "aurora-local",
                # A fleet says itself which namespace and pod a sample belongs to.
                "honor_labels": True,
                "file_sd_configs": [
                    {
                        "files": [str(file_sd / "*.json"), str(file_sd / "*.yml")],
                        "refresh_interval": "5s",
                    }
                ],
            }
        ],
    }
