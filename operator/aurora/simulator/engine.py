"""A continuous-batching LLM server in discrete steps, the scheduler of vLLM v1 in small.

In each step every running sequence decodes one token; what is left of the token budget computes
prompts, a half-computed one first, then the queue in order of arrival. When the KV cache
overflows, the sequence admitted last gives its tokens back and is computed again later.

Steps are events: an idle server costs nothing, and a stretch of steps that only decode is one
event whose length has a closed form.
"""

import heapq
import math
from collections import deque

from aurora.errors import UsageError
from aurora.simulator.batch import Sequence, Work
from aurora.simulator.parameters import ServerParameters
from aurora.simulator.requests import Completion, FirstToken, Request

__all__ = ["Replica", "RequestTooLargeError"]


class RequestTooLargeError(UsageError):
    """A request can never fit into the KV cache of the server."""


class Replica:
    """One server. Feed it in order of time: `submit` at now, `advance` to a later now.

    Attributes:
        now: how far the server has been advanced, seconds.
        slowdown: multiplier of the step time (a fault), 1 is healthy; see `set_slowdown`.
        prompt_tokens_total: prompt tokens computed so far, recomputation included.
        generation_tokens_total: tokens generated so far.
        preemptions_total: sequences that gave their KV cache back.
    """

    def __init__(self, parameters: ServerParameters, now: float = 0.0) -> None:
        self.parameters = parameters
        self.now = now
        self.slowdown = 1.0
        self.prompt_tokens_total = 0
        self.generation_tokens_total = 0
        self.preemptions_total = 0
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}  # in order of admission
        self._partial: Sequence | None = None
        self._finishing: list[tuple[int, int, Sequence]] = []
        self._decoding = 0
        self._kv_used = 0
        self._step = 0
        self._busy_s = 0.0
        self._work: Work | None = None
        self._work_end = math.inf
        self._first_tokens: list[FirstToken] = []

    @property
    def running(self) -> int:
        """Number of sequences that hold KV cache."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Number of sequences in the queue."""
        return len(self._waiting)

    @property
    def outstanding(self) -> int:
        """Number of requests inside the server."""
        return len(self._running) + len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """Fraction of the KV cache in use, 0 to 1."""
        used = float(self._kv_used)
        if self._work is not None and self._work.steps > 1:
            share = (self.now - self._work.begin) / (self._work_end - self._work.begin)
            used += share * self._work.steps * self._decoding
        return min(1.0, used / self.parameters.kv_capacity)

    @property
    def busy_s(self) -> float:
        """Seconds spent in steps since the start: the GPU's busy time."""
        return self._busy_s + (self.now - self._work.begin if self._work is not None else 0.0)

    @property
    def next_event(self) -> float:
        """When the step under way ends, seconds; infinite while idle."""
        return self._work_end

    def submit(self, request: Request) -> None:
        """Queue a request at `now`; the caller has advanced the server to it.

        Raises:
            RequestTooLargeError: prompt and output together exceed the KV cache.
        """
        needed = request.prompt_tokens + request.output_tokens
        if needed > self.parameters.kv_capacity:
            raise RequestTooLargeError(
                f"a request of {needed} tokens does not fit: "
                f"the KV cache holds {self.parameters.kv_capacity}"
            )
        blocked = bool(self._waiting)
        self._waiting.append(Sequence(request, self.now))
        if self._work is None:
            self._begin_step(self.now)
        elif not blocked:
            # Behind a queue that cannot move nothing changes; at its head the scheduler looks at
            # the newcomer when the current step ends.
            self._interrupt()

    def set_slowdown(self, factor: float) -> None:
        """Multiply the step time from the next step on (a fault is 'latency times factor')."""
        self.slowdown = factor
        self._interrupt()

    def advance(self, until: float) -> list[Completion]:
        """Run to `until` (seconds) and give what finished on the way, in order of time."""
        completions: list[Completion] = []
        while self._work_end <= until:
            self._end_step(completions)
        self.now = max(self.now, until)
        return completions

    def take_first_tokens(self) -> list[FirstToken]:
        """Give and forget the first tokens since the last call."""
        taken, self._first_tokens = self._first_tokens, []
        return taken

    def abort(self) -> list[Request]:
        """Lose everything inside, as when the pod dies, and give the lost requests."""
        lost = [s.request for s in self._running.values()] + [s.request for s in self._waiting]
        self._running.clear()
        self._waiting.clear()
        self._finishing.clear()
        self._partial = None
        self._decoding = self._kv_used = 0
        self._work, self._work_end = None, math.inf
        return lost

    def _interrupt(self) -> None:
        """Cut a stretch of decode steps at the end of the step that is under way."""
        work = self._work
        if work is None or work.steps == 1:
            return
        self._work = work._replace(steps=work.steps_until(self.now))
        self._work_end = work.begin + work.duration(self._work.steps)

    def _begin_step(self, now: float) -> None:
        """Schedule the next event, as vLLM does: decodes, the partial prompt, then the queue."""
        preempted = self._make_room()
        room = self.parameters.token_budget - self._decoding
        tokens, prefilled = self._schedule_partial(room)
        if not preempted and self._partial is None and self._waiting:
            more, admitted = self._admit(room - tokens)
            tokens += more
            prefilled += admitted
        if not (self._decoding or tokens):
            self._work, self._work_end = None, math.inf
            return
        p = self.parameters
        growth = p.kv_s * self._decoding * self.slowdown
        first = growth + self.slowdown * (
            p.step_s + p.decode_s * self._decoding + p.kv_s * self._kv_used + p.prefill_s * tokens
        )
        steps = 1 if tokens else self._decode_stretch()
        self._work = Work(now, steps, first, growth, tokens, tuple(prefilled))
        self._work_end = now + self._work.duration(steps)

    def _decode_stretch(self) -> int:
        """Give how many steps pass before a sequence finishes or the KV cache is full."""
        while self._finishing[0][2].finish_step != self._finishing[0][0]:
            heapq.heappop(self._finishing)
        to_finish = self._finishing[0][0] - self._step
        to_full = (self.parameters.kv_capacity - self._kv_used) // self._decoding
        return max(1, min(to_finish, to_full))

    def _make_room(self) -> bool:
        """Preempt, last admitted first, until each decode has room for its next token."""
        preempted = False
        while self._kv_used + self._decoding > self.parameters.kv_capacity:
            self._preempt_last()
            preempted = True
        return preempted

    def _preempt_last(self) -> None:
        _, sequence = self._running.popitem()
        if sequence.finish_step >= 0:
            steps = self._step - sequence.joined_step
            sequence.generated += steps
            sequence.held += steps
            sequence.finish_step = -1
            self._decoding -= 1
        if sequence is self._partial:
            self._partial = None
        self._kv_used -= sequence.held
        sequence.held = 0
        sequence.to_prefill = sequence.request.prompt_tokens + sequence.generated
        self.preemptions_total += 1
        self._waiting.appendleft(sequence)

    def _schedule_partial(self, room: int) -> tuple[int, list[Sequence]]:
        sequence = self._partial
        if sequence is None:
            return 0, []
        chunk = min(sequence.to_prefill, room)
        if self._kv_used + self._decoding + chunk > self.parameters.kv_capacity:
            self._preempt_last()
            return 0, []
        return chunk, self._compute(sequence, chunk)

    def _admit(self, room: int) -> tuple[int, list[Sequence]]:
        p = self.parameters
        tokens = 0
        prefilled: list[Sequence] = []
        while self._waiting and room > 0 and len(self._running) < p.max_running:
            sequence = self._waiting[0]
            if self._kv_used + self._decoding + sequence.to_prefill > p.kv_capacity:
                break
            self._waiting.popleft()
            self._running[sequence.request.identifier] = sequence
            chunk = min(sequence.to_prefill, room)
            prefilled += self._compute(sequence, chunk)
            tokens += chunk
            room -= chunk
        return tokens, prefilled

    def _compute(self, sequence: Sequence, chunk: int) -> list[Sequence]:
        """Compute `chunk` prompt tokens; the sequence is listed when its prompt is complete."""
        sequence.to_prefill -= chunk
        sequence.held += chunk
        self._kv_used += chunk
        if sequence.to_prefill:
            self._partial = sequence
            return []
        if sequence is self._partial:
            self._partial = None
        return [sequence]

    def _end_step(self, completions: list[Completion]) -> None:
        work, end = self._work, self._work_end
        assert work is not None
        self.now = end
        self._busy_s += end - work.begin
        self._step += work.steps
        self._kv_used += self._decoding * work.steps
        self.generation_tokens_total += self._decoding * work.steps + len(work.prefilled)
        self.prompt_tokens_total += work.prefill_tokens
        self._retire(end, completions)
        for sequence in work.prefilled:
            self._start_decoding(sequence, end, completions)
        self._begin_step(end)

    def _retire(self, now: float, completions: list[Completion]) -> None:
        finishing = self._finishing
        while finishing and finishing[0][0] <= self._step:
            step, _, sequence = heapq.heappop(finishing)
            if sequence.finish_step != step:
                continue  # preempted since it was queued here
            self._decoding -= 1
            self._kv_used -= sequence.held + step - sequence.joined_step
            self._complete(sequence, now, completions)

    def _start_decoding(
        self, sequence: Sequence, now: float, completions: list[Completion]
    ) -> None:
        if sequence.generated == 0:
            sequence.first_token = now
            self._first_tokens.append(FirstToken(sequence.request, sequence.submitted, now))
        sequence.generated += 1
        left = sequence.request.output_tokens - sequence.generated
        if left <= 0:
            self._kv_used -= sequence.held
            self._complete(sequence, now, completions)
            return
        self._decoding += 1
        sequence.joined_step = self._step
        sequence.finish_step = self._step + left
        entry = (sequence.finish_step, sequence.request.identifier, sequence)
        heapq.heappush(self._finishing, entry)

    def _complete(self, sequence: Sequence, now: float, completions: list[Completion]) -> None:
        del self._running[sequence.request.identifier]
        completions.append(
            Completion(sequence.request, sequence.submitted, sequence.first_token, now)
        )
