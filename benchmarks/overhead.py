"""What an iteration costs besides forward and backward passes.

    python benchmarks/overhead.py

The same training with an evaluation that hands out gradients made beforehand: draws, samples, snapshots' differences,
half-steps, optimisers and averages remain.
"""

from __future__ import annotations

from typing import Annotated, Any

import torch
import typer
from harness import Result, compare, record
from nets import DCGAN, MLP, Subject

from manypaths import Adversarial, Gradients
from manypaths.run.memory import keep_freed_memory


class Stub(Adversarial):
    """A game whose field costs nothing and is zero."""

    def evaluation(self, sample: Any, names: tuple[str, ...], moves_buffers: bool) -> Gradients:
        return Gradients({name: self.kept[name] for name in names}, {name: torch.zeros(()) for name in names})

    @classmethod
    def of(cls, game: Adversarial) -> None:
        game.kept = {name: [torch.zeros_like(p) for p in game.parameters(name)] for name in game.players}
        game.__class__ = cls


def outside(subject: Subject, *, reduced: bool, rounds: int, repeats: int) -> Result:
    whole, rest = (subject.training(reduced=reduced) for _ in range(2))
    assert isinstance(rest.game, Adversarial)
    Stub.of(rest.game)
    name = f"{subject.name}: {'SVRE' if reduced else 'extragradient'} iteration, all but forward and backward"
    return compare(f"{name}, against the whole", rest.step, whole.step, rounds=rounds, repeats=repeats)


def main(rounds: Annotated[int, typer.Option(help="Interleaved rounds.")] = 9) -> None:
    keep_freed_memory()
    found = [outside(DCGAN, reduced=reduced, rounds=rounds, repeats=1) for reduced in (True, False)]
    record(found + [outside(MLP, reduced=reduced, rounds=rounds, repeats=200) for reduced in (True, False)])


if __name__ == "__main__":
    typer.run(main)
