"""Small worlds: one Deployment `a` behind one Service `a`, and a second one, `b`."""

from aurora.simulator.live.objects import ClusterFacts, PodFact, Traffic, Workload
from aurora.simulator.live.world import World
from aurora.simulator.parameters import NAMED_SERVERS
from aurora.simulator.profile import builtin_profile

SERVER = NAMED_SERVERS["llama-3.1-8b-rtxpro6000"]
SPACE = "demo"


def pod(app: str, number: int, *, ready: bool = True, armed: bool = False) -> PodFact:
    name = f"{app}-{number}"
    return PodFact(SPACE, name, f"uid-{name}", app, {"app": app}, ready, armed, armed)


def facts(
    *,
    a: int = 2,
    b: int = 0,
    rate: float = 8.0,
    selects: str = "a",
    armed: bool = False,
    ttl: float | None = None,
    ready: bool = True,
) -> ClusterFacts:
    workloads = {(SPACE, app): Workload(SPACE, app, SERVER, "llama", ttl) for app in "ab"}
    pods = [pod("a", number, armed=armed, ready=ready) for number in range(a)]
    pods += [pod("b", number) for number in range(b)]
    service = Traffic(SPACE, "a", {"app": selects}, rate)
    return ClusterFacts(workloads, tuple(pods), (service,))


def world(seed: int = 1) -> World:
    return World(builtin_profile(), seed=seed)


def seen(one: World, since: float = 0.0) -> dict[str, float]:
    """What callers saw from `since` on, summed up."""
    buckets = one.truth[SPACE, "a"].told(epoch=0.0, since=since)
    return {
        "requests": sum(bucket["requests"] for bucket in buckets),
        "errors": sum(bucket["errors"] for bucket in buckets),
        "cached": sum(bucket["cached"] for bucket in buckets),
        "ttft": max((bucket["ttftP95"] or 0.0 for bucket in buckets), default=0.0),
    }
