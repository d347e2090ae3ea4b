"""`aurora operator`, `aurora recording-rules` and `aurora uninstall`."""

import asyncio
from pathlib import Path
from typing import Annotated

import structlog
import typer

from aurora.collector import OF_A_FLEET, spare_the_collector
from aurora.config import Settings
from aurora.errors import ClusterError
from aurora.heap import keep_the_heap_small
from aurora.resources.generate import to_yaml

__all__ = ["operator", "recording_rules", "uninstall"]

log = structlog.get_logger(__name__)

Kubeconfig = Annotated[
    Path | None, typer.Option(help="Kubeconfig; default is KUBECONFIG, then the pod's own rights.")
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]


def operator(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    prometheus_url: Annotated[
        str | None, typer.Option(help="Base URL of Prometheus; default AURORA_PROMETHEUS_URL.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the Lease and of aurora-control.")
    ] = None,
) -> None:
    """Run the operator: watch, decide, act, measure, undo. Settings are AURORA_... variables."""
    settings = Settings.load(
        kubeconfig=kubeconfig,
        kube_context=context,
        prometheus_url=prometheus_url,
        namespace=namespace,
    )
    from aurora.logs import configure

    configure(settings.log_format)
    asyncio.run(_operate(settings))


async def _operate(settings: Settings) -> None:
    keep_the_heap_small()
    # Imported here: the clients take seconds to load, which `aurora --help` should not.
    from prometheus_client import start_http_server

    from aurora.factory import operator_parts
    from aurora.handlers.operator import OperatorOptions, run_operator

    async with operator_parts(settings) as parts:
        spare_the_collector(OF_A_FLEET)
        if settings.metrics_port:
            start_http_server(
                settings.metrics_port, settings.bind_address, registry=parts.telemetry.registry
            )
        health = settings.health_port
        options = OperatorOptions(
            interval_s=settings.cycle_seconds,
            namespaces=settings.watch_namespaces,
            liveness=f"http://{settings.bind_address}:{health}/healthz" if health else "",
        )
        log.info("the operator starts", cycle_seconds=settings.cycle_seconds)
        await run_operator(
            parts.client, parts.fleet, parts.cycle.run, options=options, lease=parts.lease
        )


def recording_rules(
    plain: Annotated[
        bool, typer.Option("--plain", help="A rule file of Prometheus instead of a PrometheusRule.")
    ] = False,
) -> None:
    """Print the recording rules that AURORA_RECORDING_RULES=true lets the operator read.

    They follow from the AURORA_METRICS_... settings: run it where the operator runs.
    """
    from aurora.factory import metrics_settings
    from aurora.observe.queries import rule_groups

    settings = Settings.load()
    rules = {"groups": rule_groups(metrics_settings(settings))}
    metadata = {"name": "aurora-recording", "namespace": settings.namespace}
    wrapped = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": metadata,
        "spec": rules,
    }
    typer.echo(to_yaml(rules if plain else wrapped), nl=False)


def uninstall(
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace of the operator.")] = None,
    stop_operator: Annotated[
        str, typer.Option(help="Deployment of the operator: it is scaled to zero first.")
    ] = "",
) -> None:
    """Give every target back as it was found, by deletionPolicy, and take our finalizers off.

    No operator may run meanwhile: its Lease is taken.
    """
    from aurora.uninstall import uninstall_all

    settings = Settings.load(kubeconfig=kubeconfig, kube_context=context, namespace=namespace)
    failures = asyncio.run(uninstall_all(settings, say=typer.echo, stop_operator=stop_operator))
    if failures:
        raise ClusterError(f"{failures} ModelDeployments could not be restored: run it again")
