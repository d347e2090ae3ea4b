"""The scheduler again, one step at a time and without any shortcut, to compare with."""

from dataclasses import dataclass

from aurora.simulator.parameters import ServerParameters
from aurora.simulator.requests import Request


@dataclass
class Entry:
    request: Request
    computed: int = 0
    generated: int = 0
    first: float = -1.0
    finish: float = -1.0


def simulate(  # noqa: C901, one loop, as plain as the scheduler itself
    parameters: ServerParameters, requests: list[Request]
) -> dict[int, tuple[float, float]]:
    """Give (first token, finish) per request."""
    p = parameters
    todo = sorted(requests, key=lambda r: r.arrival)
    waiting: list[Entry] = []
    prefilling: list[Entry] = []
    decoding: list[Entry] = []
    order: list[Entry] = []
    done: dict[int, tuple[float, float]] = {}
    left: dict[int, int] = {}
    now = 0.0
    while todo or waiting or order:
        if not waiting and not order:
            now = max(now, todo[0].arrival)
        while todo and todo[0].arrival <= now:
            waiting.append(Entry(todo.pop(0)))
        held = sum(e.computed for e in order)
        preempted = False
        while held + len(decoding) > p.kv_capacity:
            held -= preempt(order, decoding, prefilling, waiting, left)
            preempted = True
        room, tokens, complete = p.token_budget - len(decoding), 0, []
        for entry in tuple(prefilling):
            chunk = min(left[entry.request.identifier], room)
            if held + len(decoding) + chunk > p.kv_capacity:
                held -= preempt(order, decoding, prefilling, waiting, left)
                break
            tokens, room, held = tokens + chunk, room - chunk, held + chunk
            take(entry, chunk, left, prefilling, complete)
        while not preempted and not prefilling and waiting and room and len(order) < p.max_running:
            entry = waiting[0]
            need = entry.request.prompt_tokens + entry.generated
            if held + len(decoding) + need > p.kv_capacity:
                break
            waiting.pop(0)
            order.append(entry)
            prefilling.append(entry)
            left[entry.request.identifier] = need
            chunk = min(need, room)
            tokens, room, held = tokens + chunk, room - chunk, held + chunk
            take(entry, chunk, left, prefilling, complete)
        if not decoding and not tokens:
            continue
        now += (
            p.step_s
            + p.decode_s * len(decoding)
            + p.kv_s * (held + len(decoding))
            + p.prefill_s * tokens
        )
        for entry in decoding:
            entry.computed += 1
            entry.generated += 1
        for entry in complete:
            entry.first = now if entry.generated == 0 else entry.first
            entry.generated += 1
            decoding.append(entry)
        for entry in [e for e in decoding if e.generated >= e.request.output_tokens]:
            decoding.remove(entry)
            order.remove(entry)
            done[entry.request.identifier] = (entry.first, now)
    return done


def take(entry, chunk, left, prefilling, complete) -> None:
    entry.computed += chunk
    left[entry.request.identifier] -= chunk
    if left[entry.request.identifier] == 0:
        prefilling.remove(entry)
        complete.append(entry)


def preempt(order, decoding, prefilling, waiting, left) -> int:
    entry = order.pop()
    for group in (decoding, prefilling):
        if entry in group:
            group.remove(entry)
    left.pop(entry.request.identifier, None)
    freed, entry.computed = entry.computed, 0
    waiting.insert(0, entry)
    return freed
