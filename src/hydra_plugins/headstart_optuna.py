"""`hydra/sweeper=optuna`: Optuna proposes the values of each job. Hydra finds plugins only in this package.

Hydra's own plugin (hydra-optuna-sweeper 1.3) needs Optuna 2, which cannot store a study in a database with the
SQLAlchemy version that MLflow requires, and ends the study when the first job fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, Trial

DIRECTIONS = {"accuracy": ["maximize"], "accuracy_and_seconds": ["maximize", "minimize"]}


class OptunaSweeper(Sweeper):
    """Launches trials of an Optuna study in batches until it has `n_trials`."""

    def __init__(
        self,
        n_trials: int,
        n_jobs: int | None,
        seed: int | None,
        storage: str | None,
        study_name: str | None,
        params: DictConfig | None,
    ) -> None:
        """Keep the settings that `conf/hydra/sweeper/optuna.yaml` documents."""
        self.n_trials, self.n_jobs, self.seed = n_trials, n_jobs, seed
        self.storage, self.study_name, self.params = storage, study_name, params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Create the configured launcher."""
        self.settings = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Launch trials until the study has enough, and print the best ones.

        Args:
            arguments: overrides from the command line; those with several values or an interval form the search space.
        """
        from headstart.config import parse_overrides
        from headstart.core.errors import HeadstartError
        from headstart.sweep.record import Sweep

        sweep = Sweep.load(Path(self.settings.hydra.sweep.dir))
        texts = [f"{key!s}={value}" for key, value in dict(self.params or {}).items()]
        overrides = parse_overrides([*texts, *arguments])
        given = {override.key_or_group: override for override in overrides}.values()  # the later one of each key
        space = {item.get_key_element(): _distribution(item) for item in given if item.is_sweep_override()}
        fixed = [_text(item) for item in given if not item.is_sweep_override()]
        if not space:
            raise HeadstartError(
                "Expected something to search, such as head=linear,dense512 or "
                "'optimizer.learning_rate=tag(log,interval(1e-4,1e-1))'. Received: one value for every key"
            )
        study = self._study(self.study_name or sweep.name)
        batch = self.n_jobs or sweep.at_once
        while (left := self.n_trials - _count_finished(study)) > 0:
            trials = [study.ask(space) for _ in range(min(left, batch))]
            jobs = [[*fixed, *(f"{key}={trial.params[key]}" for key in space)] for trial in trials]
            for trial, returned in zip(trials, self.launcher.launch(jobs, trials[0].number), strict=True):
                _record_result(study, trial, returned)
        _report_best(study, sweep)

    def _study(self, name: str) -> Study:
        """Return the study, loading it from the database if it exists there."""
        import optuna
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            study_name=name, storage=self.storage, directions=DIRECTIONS[self.settings.objective], load_if_exists=True
        )
        # A study that is continued must not propose its first values again.
        seed = None if self.seed is None else self.seed + len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=seed)
        for trial in study.get_trials(states=(TrialState.RUNNING,)):  # of a process that was killed
            study.tell(trial.number, state=TrialState.FAIL)
        return study


def _distribution(override: Override) -> BaseDistribution:
    """Return the Optuna distribution of a key's values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value: Any = override.value()
    if isinstance(value, IntervalSweep):
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        kind = IntDistribution if whole else FloatDistribution
        return kind(value.start, value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        values = list(override.sweep_iterator())
        if all(isinstance(item, int) for item in values) and value.step > 0:
            return IntDistribution(values[0], values[-1], step=int(value.step))
    return CategoricalDistribution(list(override.sweep_iterator(transformer=Transformer.encode)))


def _text(override: Override) -> str:
    """Return an override with one value as written on the command line."""
    if override.is_delete():
        return override.input_line or ""
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"


def _count_finished(study: Study) -> int:
    """Return the number of completed and failed trials."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _record_result(study: Study, trial: Trial, returned: JobReturn) -> None:
    """Record a trial's result, or its failure, in the study."""
    from optuna.trial import TrialState

    from headstart.sweep.job import JobFailed

    try:
        value = returned.return_value
    except JobFailed:
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, value)


def _report_best(study: Study, sweep: Any) -> None:
    """Print and write the best trial, or the Pareto front for two objectives."""
    from optuna.trial import TrialState

    from headstart.core.console import console
    from headstart.core.files import write_json
    from headstart.sweep.end import report_ended_jobs

    report_ended_jobs()
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    if TrialState.COMPLETE not in states:
        return
    best: Sequence[FrozenTrial] = study.best_trials
    trials = [{"job": trial.number, "values": trial.values, "parameters": trial.params} for trial in best]
    write_json(sweep.path / "best_trials.json", {"study": study.study_name, "trials": trials})
    console.print(f"\n[bold]Best of {len(states)} trials[/] ({states.count(TrialState.FAIL)} failed)")
    for trial in best:
        figures = f"validation {trial.values[0]:.1%}" + "".join(f", {value:.0f} s" for value in trial.values[1:])
        chosen = " ".join(f"{key}={value}" for key, value in trial.params.items())
        console.print(f"  {figures}: {chosen} (job {trial.number})", markup=False)
