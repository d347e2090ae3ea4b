"""Whether routers can read the conditions of an experiment: one bad one, and they refuse all."""

from functools import lru_cache

from aurora.resources.router_spec import RouterSpec
from aurora.routing import InputError
from aurora.routing.rules.conditions import Conditions

__all__ = ["wrong_rule"]


def wrong_rule(router: RouterSpec | None) -> str:
    """The first condition that cannot be read, and why; empty when all can be."""
    rules = router.experiment.rules if router is not None and router.experiment else ()
    for number, rule in enumerate(rules):
        why = _fault(rule.when) if rule.when else ""
        if why:
            return f"spec.router.experiment.rules[{number}].when: {why}"
    return ""


@lru_cache(maxsize=1024)
def _fault(when: str) -> str:
    try:
        conditions = Conditions()
    except InputError:
        return ""  # without the extra `rules` only a router that has it can tell
    try:
        conditions.compile(when)
    except InputError as error:
        return str(error)
    return ""
