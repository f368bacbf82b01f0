"""The only training loop."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from manypaths import user_code
from manypaths.errors import InvalidType, InvalidValue, LostProcess
from manypaths.files import write_atomically
from manypaths.metrics.gradient_noise import gradient_noise
from manypaths.randomness import seed_for
from manypaths.run import checkpoint
from manypaths.run.evaluation import evaluated, generate, inputs
from manypaths.run.export import expect_exportable, export_generators, ready
from manypaths.run.interrupt import Interrupt
from manypaths.run.pictures import grid_png
from manypaths.run.processes import join, lost_another
from manypaths.run.recipe import Recipe
from manypaths.run.record import RunDirectory, Status
from manypaths.run.scoring import Scorer
from manypaths.run.tracking import Tracker, tensorboard
from manypaths.sources.paired import PairedSource
from manypaths.sources.pixels import to_uint8
from manypaths.step import StepInfo


class Run:
    """A recipe at work in a directory.

    ``Run(recipe, path)`` starts anew, ``Run(recipe, path, resume=True)`` goes on from the last checkpoint; a run that
    was resumed, at any step, equals the uninterrupted one bit for bit.
    """

    def __init__(self, recipe: Recipe, path: Path, *, resume: bool = False, command: str = "", read_only: bool = False):
        self.processes = join(recipe.device)
        self.directory = RunDirectory(path, writes=self.processes.writes)
        self.command = command
        if resume:
            recipe = self._agree(recipe)
        elif self.directory.exists():
            self.directory.refuse_taken()  # before anything is built
        recipe = dataclasses.replace(recipe, threads=recipe.threads or torch.get_num_threads())
        self.processes.wait()  # nobody creates the directory before everybody has looked at it
        self.recipe = recipe
        torch.set_num_threads(recipe.threads or 1)
        torch.manual_seed(seed_for(recipe.seed, "global"))
        self.training = recipe.build()
        if self._exports():
            expect_exportable(self.training.game.players["generator"])
        self.seconds, self._saved_at = 0.0, 0
        self._scores: Scorer | None = None
        if recipe.evaluate_every and self.processes.writes:
            self._scorer()  # a missing net or data set is said before training starts
        if recipe.start_from is not None and not (resume and checkpoint.exists(self.directory.checkpoint)):
            self._warm_start(Path(recipe.start_from))
        if resume:
            self._load(read_only=read_only)
        else:
            self.directory.create(recipe.to_plain(), command)

    @classmethod
    def opened(cls, path: Path, *, trust_code: bool = False) -> Run:
        """The run in a directory, at its last checkpoint, to be looked at: nothing is written.

        ``trust_code`` as in ``Recipe.read``.
        """
        run = cls(Recipe.read(RunDirectory(path).recipe, trust_code=trust_code), path, resume=True, read_only=True)
        if not checkpoint.exists(run.directory.checkpoint):
            raise InvalidValue(f"{path} has no checkpoint yet: expected a run that has begun")
        return run

    @property
    def evaluations(self) -> int:
        """Per-sample gradient evaluations so far, summed over the players."""
        return sum(self.training.oracle.evaluations.values())

    @property
    def passes(self) -> float:
        """Data passes so far: evaluations per player and datum."""
        source = self.training.oracle.source
        size = source.size or getattr(source, "count", None)
        return self.evaluations / (len(self.training.game.players) * size) if size else 0.0

    def finished(self) -> bool:
        budget = self.recipe.evaluations
        return self.training.steps >= self.recipe.steps or (budget is not None and self.evaluations >= budget)

    def step(self) -> StepInfo:
        """One step of training, timed."""
        started = time.perf_counter()
        info = self.training.step()
        self.seconds += time.perf_counter() - started
        return info

    def train(self, trackers: Sequence[Tracker] = ()) -> Status:
        """Train to the end, to divergence, or to the next Ctrl-C, writing as the recipe says."""
        training = self.training
        if self.processes.writes:
            trackers = [*trackers, *tensorboard(self.directory.events, training.steps)]
        self.directory.write_status(Status("running", training.steps))
        try:
            status = self._train(trackers)
        except BaseException as error:
            failure = error
            if lost_another(error):
                failure = LostProcess(f"another process of this run has ended; go on with: {self.resume_command()}")
            self.directory.write_status(Status("failed", training.steps, f"{type(failure).__name__}: {failure}"))
            raise failure from error
        finally:
            for tracker in trackers:
                tracker.close()
        self.directory.write_status(status)
        return status

    def _train(self, trackers: Sequence[Tracker]) -> Status:
        recipe, training = self.recipe, self.training
        if training.steps == 0:
            self.save()
            self.draw_samples()
        status = None
        with Interrupt() as interrupt:
            while status is None and not self.finished():
                info = self.step()
                if non_finite := training.non_finite(info):
                    status = self._diverged(non_finite)
                    break
                at = training.steps
                if at % recipe.log_every == 0 or self._measures() or self.finished():
                    self._report(info, trackers)
                if self._due(recipe.samples_every):
                    self.draw_samples()
                if at % recipe.checkpoint_every == 0:
                    self.save()
                if self.processes.any(interrupt.requested) and not self.finished():
                    self._save_new()
                    status = Status("interrupted", at, f"go on with: {self.resume_command()}")
        if status is None:
            self._save_new()
            status = Status("finished", training.steps)
        if status.state != "diverged":
            self.export()
        return status

    def row(self, info: StepInfo) -> dict[str, Any]:
        """One row of metrics: costs, losses, and the gradient noise where it is due."""
        row: dict[str, Any] = {
            "step": self.training.steps,
            "evaluations": self.evaluations,
            "passes": round(self.passes, 6),
            "seconds": round(self.seconds, 3),
            "loss": {name: float(loss) for name, loss in info.losses.items()},
        }
        if self._due(self.recipe.evaluate_every) and self.processes.writes:
            row["score"] = self._scorer().row(self.training)
        if self._due(self.recipe.noise_every):
            noise = gradient_noise(self.training.game, self.training.oracle, draws=self.recipe.noise_draws)
            row["noise"] = {name: dataclasses.asdict(value) for name, value in noise.items()}
        return row

    def _due(self, every: int) -> bool:
        return bool(every) and (self.training.steps % every == 0 or self.finished())

    def _measures(self) -> bool:
        return self._due(self.recipe.noise_every) or self._due(self.recipe.evaluate_every)

    def _scorer(self) -> Scorer:
        if self._scores is None:
            self._scores = Scorer(self.recipe, samples=self.recipe.evaluate_samples)
        return self._scores

    def draw_samples(self) -> None:
        """A grid of fixed latents, by the last iterate and by each average."""
        source = self.training.oracle.source
        if (
            not self.processes.writes
            or "generator" not in self.training.game.players
            or not isinstance(source, PairedSource)
            or source.real.ndim != 4
        ):
            return
        given = inputs(self.training, 100, self.recipe.seed, "grid")
        for which in ready(self.training):
            with evaluated(self.training, which, seed=self.recipe.seed) as generator:
                png = grid_png(to_uint8(generate(generator, given), source.pixels), columns=10)
            write_atomically(self.directory.samples / f"{which}-{self.training.steps:07d}.png", png)

    def export(self) -> None:
        """Write the generators as they are evaluated (``manypaths.load``)."""
        if self._exports():
            export_generators(self.directory, self.training, seed=self.recipe.seed)

    def _exports(self) -> bool:
        generates = "generator" in self.training.game.players and isinstance(self.training.oracle.source, PairedSource)
        return self.processes.writes and generates

    def save(self) -> None:
        """Checkpoint now."""
        if self.processes.writes:
            checkpoint.save(self.directory.checkpoint, self.state_dict())
        self._saved_at = self.training.steps

    def _save_new(self) -> None:
        """Checkpoint, unless that of this step is there: the one before it is to be of another step."""
        if self._saved_at != self.training.steps:
            self.save()

    def state_dict(self) -> dict[str, Any]:
        return {
            "recipe": self.recipe.to_plain(),
            "training": self.training.state_dict(),
            "seconds": self.seconds,
            "torch": torch.get_rng_state(),
        }

    def resume_command(self) -> str:
        """The command that goes on where this run stopped."""
        start = ["torchrun", "--nproc-per-node", str(self.processes.size), "--no-python"]
        command = ["manypaths", "run", str(self.directory.path), "--resume"]
        trust = ["--trust-code"] if self.recipe.code_names() else []
        return shlex.join([*(start if self.processes.size > 1 else []), *command, *trust])

    # ---- how ------------------------------------------------------------------------------------------------------

    def _report(self, info: StepInfo, trackers: Sequence[Tracker]) -> None:
        row = self.row(info)
        self.directory.append(row)
        for tracker in trackers:
            tracker.show(row)

    def _diverged(self, non_finite: str) -> Status:
        kept, step = self._saved_at, self.training.steps
        return Status(
            "diverged", step, f"at step {step}, {non_finite}; the last good checkpoint, of step {kept}, is kept"
        )

    def _agree(self, recipe: Recipe) -> Recipe:
        """The recipe of a resumed run: the one in the directory, up to settings that do not change the trajectory."""
        if not self.directory.exists():
            raise InvalidValue(f"{self.directory.path} holds no run to resume: leave --resume away to start one")
        there = Recipe.read(self.directory.recipe, known=recipe.code_names())
        recipe = dataclasses.replace(recipe, threads=recipe.threads or there.threads, name=there.name)
        if differences := recipe.differences(there):
            path, more = self.directory.path, f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
            raise InvalidType(
                f"{path} is a run of another recipe: {differences[0]}{more}; a resumed run keeps its settings, and "
                f"others begin from its weights in a run of their own: --set start_from={path} --out ANOTHER"
            )
        return recipe

    def _warm_start(self, path: Path) -> None:
        """Take over the weights and buffers of another run's last checkpoint, and nothing else."""
        saved = RunDirectory(path).checkpoint
        if not checkpoint.exists(saved):
            raise InvalidValue(f"start_from is {path}, which holds no checkpoint: expected a run directory")
        try:
            self.training.game.load_state_dict(checkpoint.load(saved)["training"]["game"])
        except (RuntimeError, KeyError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise InvalidType(f"the networks of {path} are other ones than this recipe's: {reason}") from error

    def _load(self, *, read_only: bool) -> None:
        is_last = True
        if checkpoint.exists(self.directory.checkpoint):
            state, is_last = checkpoint.load_last(self.directory.checkpoint)
            with user_code.named_by(self.directory.checkpoint, trust_code=False, known=self.recipe.code_names()):
                saved = Recipe.from_plain(state["recipe"])
            if differences := self.recipe.differences(saved):
                raise InvalidType(f"{self.directory.checkpoint} is of another recipe: {differences[0]}")
            self.training.load_state_dict(state["training"])
            self.seconds, self._saved_at = state["seconds"], self.training.steps
            torch.set_rng_state(state["torch"])
        elif rows := self.directory.rows():
            raise InvalidValue(
                f"{self.directory.path} has {len(rows)} rows of metrics and no checkpoint to go on from: put "
                "checkpoint.pt back, or start anew with another --out"
            )
        if read_only:
            return
        self.directory.rewind(self.training.steps)
        self.processes.wait()  # nobody moves what another process still reads
        if not is_last and self.processes.writes:
            checkpoint.set_aside(self.directory.checkpoint)
        self.directory.write_recipe(self.recipe.to_plain())
