"""Jobs that cannot run are refused before the first one starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY

from headstart.config import Config, compose
from headstart.config.identity import config_hash
from headstart.sweep.check_jobs import InvalidJobs, check_jobs

Refuse = Callable[..., InvalidJobs]


@pytest.fixture
def composed(folder: Path) -> Callable[[list[str]], Config]:
    return lambda overrides: compose([*TINY, f"dataset.root={folder}", "freeze=all", *overrides])


@pytest.fixture
def refuse(composed: Callable[[list[str]], Config], tmp_path: Path) -> Refuse:
    def refusal(*jobs: str, reads_images: bool = True) -> InvalidJobs:
        before = list(tmp_path.rglob("*"))
        with pytest.raises(InvalidJobs) as caught:
            check_jobs(tmp_path, [(job, job.split()) for job in jobs], composed, reads_images)
        assert list(tmp_path.rglob("*")) == before
        return caught.value

    return refusal


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("head=nothing", "unknown head 'nothing'"),
        ("batch_size=0", "Expected batch_size to be at least 1. Received: 0"),
        ("seed=abc", "Expected seed to be a whole number"),
        ("backbone.weights=imagenet", "Expected backbone.weights of small_cnn to be one of"),
        ("head=svm freeze=scratch", "Expected the first stage to train the head alone"),
        ("head=imagenet", "Expected dataset=unlabelled for head.output=imagenet"),
        ("image_size=4", "Expected image_size"),
        ("time_limit=soon", "Expected time_limit to be a duration"),
        ("scenario=auto", "Expected a backbone with ImageNet weights"),
        ("dataset.root=/nowhere", "Expected dataset.root to be the directory of the images"),
        ("cv.folds=2 cv.fold=5", "cv.fold"),
    ],
)
def test_a_job_that_cannot_run_is_named_with_its_reason(job: str, reason: str, refuse: Refuse) -> None:
    refusal = refuse("seed=0", job, "seed=1")
    assert str(refusal) == "1 of the sweep's 3 jobs is invalid; no job was started"
    [(told, labels)] = refusal.reasons.items()
    assert reason in told
    assert labels == [job]


def test_jobs_with_the_same_reason_share_a_line(refuse: Refuse, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = refuse(*(f"head={head} seed={seed}" for head in ("linear", "nothing") for seed in range(8)), "epochs=0")
    assert sorted(map(len, refusal.reasons.values())) == [1, 8]
    refusal.print()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("  head=nothing seed=0, head=nothing seed=1, ")
    assert "seed=4 and 3 more: unknown head 'nothing'; " in said[0]


def test_valid_jobs_pass_and_seeds_are_composed_once(composed: Callable[[list[str]], Config], tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def counting(overrides: list[str]) -> Config:
        asked.append(overrides)
        return composed(overrides)

    jobs = [
        (f"{head} {seed}", [f"head={head}", f"seed={seed}"]) for head in ("linear", "dense512") for seed in range(9)
    ]
    assert check_jobs(tmp_path, jobs, counting, reads_images=True) == {}
    assert len(asked) == 2


def test_a_learning_curve_with_too_few_images_of_a_class_is_refused(refuse: Refuse) -> None:
    jobs = [f"sweep=learning_curve dataset.fraction={share} seed={seed}" for share in (0.1, 1) for seed in (0, 1)]
    [(reason, labels)] = refuse(*jobs).reasons.items()
    assert "Expected dataset.fraction to leave at least two training images of every class" in reason
    assert labels == jobs[:2]


def test_images_of_jobs_on_other_machines_are_not_checked(
    composed: Callable[[list[str]], Config], tmp_path: Path
) -> None:
    jobs = [("lost", ["dataset.root=/nowhere"])]
    assert check_jobs(tmp_path, jobs, composed, reads_images=False) == {}


def test_finished_jobs_without_their_images_do_not_block_the_others(
    composed: Callable[[list[str]], Config], refuse: Refuse, tmp_path: Path
) -> None:
    lost = "dataset.root=/nowhere"
    finished = {"status": "FINISHED", "config_hash": config_hash(composed([lost, "seed=1"]))}
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "results.json").write_text(json.dumps(finished))
    [(reason, labels)] = check_jobs(
        tmp_path, [("done", [lost, "seed=1"]), ("new", ["seed=0"])], composed, reads_images=True
    ).items()
    assert "/nowhere (does not exist)" in reason
    assert labels == ["done"]
    assert "are done, but their images cannot be read" in str(refuse(f"{lost} seed=1"))
    assert refuse(f"{lost} seed=1", f"{lost} seed=2").reasons == {reason: [f"{lost} seed=2"]}
