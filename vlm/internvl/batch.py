"""Rows that are written together, and tokens on their way from the device."""

from __future__ import annotations

from typing import NamedTuple

import torch

from vlm.internvl.jobs import Job
from vlm.internvl.slots import SlotPool


class Launched(NamedTuple):
    """Tokens that the device was asked for, and whose they are."""

    jobs: list[tuple[int, Job]]
    """With the index of their token."""
    tokens: torch.Tensor
    """On the host; valid after ``event``."""
    event: torch.cuda.Event | None

    def hand_out(self) -> None:
        """Give each job its token."""
        if self.event:
            self.event.synchronize()
        values = self.tokens.tolist()
        for index, job in self.jobs:
            job.accept(values[index])


class Batch:
    """A pool of slots and the jobs in them."""

    def __init__(self, pool: SlotPool) -> None:
        self.pool = pool
        self.rows: dict[int, Job] = {}
        self._read: dict[int, int] = {}
        """Tokens in each slot, as the device will have it when all steps that were launched are done."""

    def join(self, slot: int, job: Job) -> None:
        """The row in ``slot`` was prefilled for ``job``."""
        self.rows[slot] = job
        self._read[slot] = len(job.prompt) + len(job.written)

    def free_slot(self) -> int | None:
        """The lowest, so that few slots take part in a step."""
        return next((slot for slot in range(self.pool.slots) if slot not in self.rows), None)

    def drop_finished(self) -> None:
        """Let rows leave whose text has ended."""
        for slot in [slot for slot, job in self.rows.items() if job.end_if_cancelled()]:
            del self.rows[slot]
            self.pool.release(slot)

    def step(self) -> torch.Tensor:
        """Write one token in every row; the logits."""
        for slot in self.rows:
            self._read[slot] += 1
        return self.pool.step(max(self.rows) + 1, max(self._read[slot] for slot in self.rows))

    def halve(self) -> list[Job]:
        """Give half of the memory back; the jobs that lost their slot. Empty and no smaller if there is one slot."""
        if self.pool.slots == 1:
            return []
        self.pool.shrink(self.pool.slots // 2)
        lost = [slot for slot in self.rows if slot >= self.pool.slots]
        return [self.rows.pop(slot) for slot in sorted(lost)]
