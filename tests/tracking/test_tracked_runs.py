"""What a run logs to MLflow: everything under one run id, however the run ends, and nothing elsewhere."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY

from headstart.classifier.saved import load_classifier
from headstart.config import TrackingConfig, compose
from headstart.config.identity import config_hash
from headstart.core.errors import HeadstartError
from headstart.core.paths import conf_directory
from headstart.run.experiment import run
from headstart.tracking import flatten, store_uri, tracked_run

UNREACHABLE = [
    "http://127.0.0.1:9",
    "sqlite:////proc/none/mlflow.db",
    "nonsense://x",
    "/etc",
    "sqlite:////etc/hostname",
]
RUN = conf_directory().parent / "run.py"


@pytest.fixture(scope="module")
def results(finished_run: Path) -> dict[str, Any]:
    return json.loads((finished_run / "results.json").read_text())


@pytest.fixture(scope="module")
def client(outputs: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(store(outputs))


@pytest.fixture(scope="module")
def logged(results: dict[str, Any], client: Any) -> Any:
    return client.get_run(results["run_id"])


def store(directory: Path) -> str:
    return f"sqlite:///{directory / 'mlflow.db'}"


def test_parameters_under_their_dotted_keys(logged: Any, folder: Path) -> None:
    parameters = logged.data.params
    assert (parameters["backbone"], parameters["head"], parameters["freeze"]) == ("small_cnn", "linear", "last_block")
    assert parameters["freeze.stages.1.train"] == "last_block"
    assert parameters["freeze.stages.1.epochs"] == "2"
    assert parameters["optimizer.learning_rate"] == "0.003"
    assert parameters["seed"] == "0"
    assert (parameters["dataset"], parameters["image_size"]) == (folder.name, "32")
    assert (parameters["epochs"], parameters["batch_size"]) == ("2", "32")


def test_what_is_null_internal_or_a_default_is_no_parameter(logged: Any) -> None:
    parameters = logged.data.params
    assert not [key for key in parameters if key.startswith(("tracking", "cache", "sweep", "recipe", "cv"))]
    assert not {"dataset.root", "patience", "plan", "resume", "label_smoothing"} & parameters.keys()
    assert "None" not in parameters.values()
    assert len(parameters) < 40


def test_epochs_share_one_axis_over_all_stages(logged: Any, client: Any) -> None:
    curves = {
        name: [(point.step, point.value) for point in client.get_metric_history(logged.info.run_id, f"epoch/{name}")]
        for name in ("train_loss", "val_loss", "val_accuracy", "learning_rate", "stage")
    }
    for curve in curves.values():
        assert [step for step, _ in curve] == [1, 2, 3, 4]
    assert [value for _, value in curves["stage"]] == [0, 0, 1, 1]


def test_the_share_of_waiting_is_a_metric_of_each_stage(logged: Any, results: dict[str, Any]) -> None:
    for stage, share in results["data_wait_fraction"].items():
        assert logged.data.metrics[f"waiting/{stage}"] == pytest.approx(share, abs=1e-4)


def test_final_figures_are_those_of_the_saved_classifier(logged: Any, client: Any, results: dict[str, Any]) -> None:
    metrics = logged.data.metrics
    for split, short in (("validation", "val"), ("test", "test")):
        for name in ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "calibration_error"):
            assert metrics[f"{short}_{name}"] == pytest.approx(results["splits"][split][name], abs=1e-5)
        assert metrics[f"{short}/balanced_accuracy"] == pytest.approx(
            results["splits"][split]["balanced_accuracy"], abs=1e-5
        )
    assert len(client.get_metric_history(logged.info.run_id, "val_accuracy")) == 1
    assert metrics["best_epoch"] == results["best_epoch"]["epoch"]
    assert metrics["seconds/training"] == pytest.approx(results["seconds"]["training"], abs=0.01)
    assert metrics["seconds/training"] < metrics["seconds"] <= results["seconds"]["total"]


def test_few_metrics_have_no_prefix(logged: Any) -> None:
    without = {name for name in logged.data.metrics if "/" not in name}
    figures = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss", "calibration_error")
    assert without == {f"{split}_{name}" for split in ("val", "test") for name in figures} | {"best_epoch", "seconds"}


def test_tags_description_and_status(logged: Any, results: dict[str, Any], finished_run: Path, folder: Path) -> None:
    tags = logged.data.tags
    assert logged.info.status == "FINISHED"
    assert tags["dataset_fingerprint"] == results["dataset"]["fingerprint"]
    config = compose([*TINY, f"dataset.root={folder}", "freeze=last_block", "epochs=2"])
    assert tags["config_hash"] == config_hash(config)
    assert tags["output"] == str(finished_run)
    own = {tag for tag in tags if not tag.startswith("mlflow.")}
    assert own == {"dataset_fingerprint", "config_hash", "output", "journal"}
    assert logged.info.run_name == f"last_block linear s0 small_cnn {folder.name}"
    assert f"| test | 6 | {100 * results['splits']['test']['accuracy']:.1f} % |" in tags["mlflow.note.content"]


def test_artifacts_lie_among_the_outputs(logged: Any, client: Any, outputs: Path, finished_run: Path) -> None:
    names = {item.path for item in client.list_artifacts(logged.info.run_id)}
    assert names >= {"config.yaml", "splits.csv", "data_report.json", "predictions.csv", "history.csv", "figures"}
    assert names >= {"validation_report.txt", "test_report.txt"}
    figures = {Path(item.path).name for item in client.list_artifacts(logged.info.run_id, "figures")}
    assert figures == {file.name for file in (finished_run / "figures").iterdir()}
    assert logged.info.artifact_uri.startswith(f"file://{outputs}/")
    stored = Path(logged.info.artifact_uri.removeprefix("file://"))
    assert (stored / "splits.csv").read_bytes() == (finished_run / "splits.csv").read_bytes()


def model_directory(client: Any, experiment_id: str, run_id: str) -> Path:
    [model] = [
        model for model in client.search_logged_models(experiment_ids=[experiment_id]) if model.source_run_id == run_id
    ]
    return Path(model.artifact_location.removeprefix("file://"))


def test_the_logged_model_answers_like_the_classifier(
    results: dict[str, Any], client: Any, finished_run: Path, folder: Path
) -> None:
    import mlflow
    import pandas

    directory = model_directory(client, results["experiment_id"], results["run_id"])
    model = mlflow.pyfunc.load_model(str(directory))
    files = sorted(folder.glob("*/00[12].png"))
    texts = [base64.b64encode(file.read_bytes()).decode() for file in files]
    answer = model.predict(pandas.DataFrame({"image": texts}))

    classifier = load_classifier(finished_run)
    expected = classifier.probabilities(np.stack([classifier.load(file) for file in files]))
    assert list(answer.columns) == ["label", "confidence", "probabilities", "unfamiliar", "distance"]
    assert [list(row) for row in answer["probabilities"]] == [list(classifier.class_names)] * len(files)
    np.testing.assert_allclose([list(row.values()) for row in answer["probabilities"]], expected, atol=1e-5)
    np.testing.assert_allclose(answer["confidence"], expected.max(axis=1), atol=1e-5)
    assert list(answer["label"]) == [classifier.class_names[best] for best in expected.argmax(axis=1)]

    for text, complaint in (
        (base64.b64encode(b"no picture").decode(), "image that can be read"),
        ("not base64!", "base64"),
        ("", "image that can be read"),
    ):
        with pytest.raises(mlflow.exceptions.MlflowException, match=complaint):
            model.predict(pandas.DataFrame({"image": [texts[0], text]}))


SERVED_ELSEWHERE = """
import base64, pathlib, sys
import mlflow, pandas

# As on a machine that has the model's requirements and no headstart.
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path = [path for path in sys.path if not pathlib.Path(path, "headstart").is_dir()]
directory, picture = sys.argv[1:]
model = mlflow.pyfunc.load_model(directory)
import headstart
assert headstart.__file__.startswith(directory)
print(model.predict(pandas.DataFrame({"image": [base64.b64encode(pathlib.Path(picture).read_bytes()).decode()]})))
"""


@pytest.mark.slow
def test_the_logged_model_includes_its_code(results: dict[str, Any], client: Any, folder: Path, tmp_path: Path) -> None:
    directory = model_directory(client, results["experiment_id"], results["run_id"])
    command = [sys.executable, "-c", SERVED_ELSEWHERE, str(directory), str(folder / "red" / "000.png")]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "confidence" in answer.stdout


def test_the_splits_are_logged_as_data_sets(logged: Any, results: dict[str, Any], folder: Path) -> None:
    found = {one.tags[0].value: one.dataset for one in logged.inputs.dataset_inputs}
    assert list(found) == ["train", "validation", "test"]
    assert {dataset.name for dataset in found.values()} == {folder.name}
    for split, dataset in found.items():
        profile = json.loads(dataset.profile)
        assert profile["num_rows"] == sum(profile["images_per_class"].values()) == results["dataset"]["images"][split]
        assert set(profile["images_per_class"]) == {"red", "green", "blue"}
        assert dataset.digest == profile["fingerprint"][:8]
        assert json.loads(dataset.source) == {"uri": str(folder)}
        assert [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == ["image", "label"]


def test_the_logged_model_is_named_after_the_run_and_explains_itself(
    logged: Any, results: dict[str, Any], client: Any, finished_run: Path
) -> None:
    import mlflow

    model = client.get_logged_model(results["tracking"]["model_id"])
    assert model.name == logged.info.run_name
    note = model.tags["mlflow.note.content"]
    assert f"| test | 6 | {100 * results['splits']['test']['accuracy']:.1f} % |" in note
    assert "mlflow models serve -m models:/MODEL_ID" in note
    assert {metric.key for metric in model.metrics} == {key for key in logged.data.metrics if "/" not in key} - {
        "seconds"
    }
    digests = {one.tags[0].value: one.dataset.digest for one in logged.inputs.dataset_inputs}
    measured = {metric.key: metric.dataset_digest for metric in model.metrics}
    assert (measured["val_accuracy"], measured["test_log_loss"]) == (digests["validation"], digests["test"])
    assert measured["best_epoch"] is None
    directory = Path(model.artifact_location.removeprefix("file://"))
    served = mlflow.pyfunc.load_model(str(directory))
    assert served.metadata.signature.inputs.input_names() == ["image"]
    answer = served.predict(served.input_example)
    with np.load(finished_run / "classifier" / "reference.npz") as reference:
        expected = reference["probabilities"][0]
    np.testing.assert_allclose(list(answer["probabilities"][0].values()), expected, atol=1e-5)


def test_no_pickle_in_the_logged_model(results: dict[str, Any], client: Any) -> None:
    directory = model_directory(client, results["experiment_id"], results["run_id"])
    files = [file for file in directory.rglob("*") if file.is_file()]
    assert {"model.keras", "serving.py", "MLmodel"} <= {file.name for file in files}
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib", ".pth")]
    assert not [file for file in files if file.read_bytes()[:1] == b"\x80"]  # how a pickle begins
    assert not [file for file in files if "__pycache__" in file.parts]


@pytest.mark.parametrize(
    ("error", "status"), [(HeadstartError, "FAILED"), (KeyboardInterrupt, "KILLED"), (ZeroDivisionError, "FAILED")]
)
def test_a_run_that_ends_early_logs_its_status(
    error: type[BaseException],
    status: str,
    folder: Path,
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    import headstart.training.stages as stages

    def stop(*arguments: Any, **more: Any) -> None:
        raise error("in the second epoch")

    monkeypatch.setattr(stages, "train_stages", stop)
    with pytest.raises(error, match="in the second epoch"):
        run(compose([*TINY, f"dataset.root={folder}"]), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["status"] == status
    logged = client.get_run(results["run_id"])
    assert logged.info.status == status
    assert logged.data.params["seed"] == "0"
    assert mlflow.active_run() is None


def test_a_resumed_run_keeps_its_parameters(outputs: Path, client: Any, tmp_path: Path) -> None:
    for time_limit in ("1s", "2h"):
        with tracked_run(store(outputs), "kept", "a run", {}, tmp_path, resume=True) as tracker:
            tracker.log_parameters({"time_limit": time_limit})
    assert client.get_run(tracker.run_id).data.params == {"time_limit": "1s"}
    assert tracker.journal.progress["refused"] == []


def test_many_and_long_parameters(outputs: Path, client: Any, tmp_path: Path) -> None:
    many = {**{f"value{number:03}": number for number in range(250)}, "long": "x" * 20_000}
    with tracked_run(store(outputs), "many", "a run", {"command": "y" * 20_000}, tmp_path) as tracker:
        tracker.log_parameters(many)
        tracker.describe("z" * 20_000, {})
    logged = client.get_run(tracker.run_id)
    assert logged.info.status == "FINISHED"
    assert len(logged.data.params) == 251
    assert logged.data.params["value249"] == "249"
    assert len(logged.data.params["long"]) == 6000


def test_somebody_elses_run_is_left_alone(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tracked_run(store(outputs), "first", "a", {}, tmp_path) as first:
        pass
    monkeypatch.setenv("MLFLOW_RUN_ID", first.run_id)
    with tracked_run(store(outputs), "second", "b", {}, tmp_path) as second:
        pass
    assert second.run_id != first.run_id
    assert second.experiment_id != first.experiment_id


def test_flatten() -> None:
    assert flatten({"a": {"b": [1, {"c": None}]}, "d": []}) == {"a.b.0": 1, "a.b.1.c": None}


def test_where_the_store_is(outputs: Path) -> None:
    assert store_uri(TrackingConfig("local")) == f"sqlite:///{outputs}/mlflow.db"
    assert store_uri(TrackingConfig("server", "http://somewhere:5000")) == "http://somewhere:5000"
    with pytest.raises(HeadstartError, match=r"Expected tracking\.uri .* MLFLOW_TRACKING_URI"):
        store_uri(TrackingConfig("server"))


def test_a_relative_store_keeps_its_artifacts_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)
    with tracked_run("sqlite:///mine.db", "first", "a", {}, tmp_path) as tracker:
        pass
    experiment = mlflow.MlflowClient("sqlite:///mine.db").get_experiment(tracker.experiment_id)
    assert experiment.artifact_location == (tmp_path / "mlartifacts" / "first").as_uri()


@pytest.mark.slow
def test_a_store_is_created_atomically(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow
    import sqlalchemy

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    place = tmp_path / "store"

    def make() -> None:
        with tracked_run(store(place), "headstart", "run", {}, tmp_path):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "search_experiments", fail)
        with pytest.raises(HeadstartError, match="No space left on device"):
            make()
    assert [file.name for file in place.iterdir()] == ["mlflow.db.lock"]
    make()
    assert sorted(file.name for file in place.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
    engine = sqlalchemy.create_engine(store(place))
    with engine.connect() as connection:  # what is written from now on is on the disk when MLflow says so
        assert connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()


@pytest.mark.parametrize("uri", UNREACHABLE)
def test_an_unreachable_store_is_reported_within_seconds(uri: str, tmp_path: Path) -> None:
    import mlflow  # noqa: F401  (its import is no part of the wait)

    (tmp_path / "file").write_text("no database")
    uri = uri.format(file=tmp_path / "file")
    started = time.monotonic()
    with (
        pytest.raises(HeadstartError, match=r"Expected a tracking store at .* Received: .+") as caught,
        tracked_run(uri, "headstart", "a", {}, tmp_path / "run"),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert uri in str(caught.value)
    assert time.monotonic() - started < 20
    assert not list((tmp_path / "run").rglob("*.jsonl"))  # nothing waits of a run that did not begin
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ  # patience is back for the run itself


@pytest.mark.slow
def test_nothing_is_written_outside_the_outputs(folder: Path, tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for directory in (home, elsewhere):
        directory.mkdir()
    before = sorted(folder.rglob("*"))
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path / "outputs"), "HOME": str(home)}
    command = [sys.executable, str(RUN), *TINY, f"dataset.root={folder}", "freeze=scratch", "epochs=1"]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True)
    assert list((tmp_path / "outputs" / "runs").iterdir())
    assert list(elsewhere.iterdir()) == []
    assert not [file for file in home.rglob("*") if "mlflow" in file.name.lower() or "mlruns" in file.name]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_three_runs_create_the_store_at_the_same_time(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path)}
    command = [sys.executable, str(RUN), *TINY, f"dataset.root={folder}", "freeze=scratch", "epochs=1"]
    jobs = [
        subprocess.Popen([*command, f"seed={seed}"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for seed in range(3)
    ]
    for job in jobs:
        said = job.communicate()[0].decode()
        assert job.returncode == 0, said[-2000:]
    results = [json.loads(file.read_text()) for file in tmp_path.glob("runs/*/results.json")]
    assert [result["status"] for result in results] == ["FINISHED"] * 3
    assert len({result["run_id"] for result in results}) == 3
    assert len({result["experiment_id"] for result in results}) == 1


@pytest.mark.slow
def test_control_c_ends_a_run_as_killed(folder: Path, tmp_path: Path) -> None:
    import signal

    import mlflow

    environment = {**os.environ, "HEADSTART_OUTPUTS": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, str(RUN), *TINY, f"dataset.root={folder}", "freeze=scratch", "epochs=100000"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as job:
        said = ""
        while "  best" not in said:
            said = job.stdout.readline()  # type: ignore[union-attr]
            assert said, "the run ended before its first epoch did"
        job.send_signal(signal.SIGINT)
        rest = job.stdout.read()  # type: ignore[union-attr]
    assert job.returncode == 130
    assert rest.rstrip().endswith("Interrupted.")
    assert "Traceback" not in rest
    [file] = tmp_path.glob("runs/*/results.json")
    results = json.loads(file.read_text())
    assert results["status"] == "KILLED"
    assert mlflow.MlflowClient(store(tmp_path)).get_run(results["run_id"]).info.status == "KILLED"


def test_epochs_that_end_at_once_are_all_there_though_the_run_fails(tmp_path: Path) -> None:
    import mlflow

    def fail() -> None:
        with tracked_run(store(tmp_path), "headstart", "fails", {}, tmp_path) as tracker:
            for epoch in range(1, 301):
                tracker.log_metrics({f"epoch/{name}": epoch / 7 for name in "abcdefg"}, epoch)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    client = mlflow.MlflowClient(store(tmp_path))
    (run,) = client.search_runs([client.get_experiment_by_name("headstart").experiment_id])
    assert run.info.status == "FAILED"
    for name in "ag":
        points = client.get_metric_history(run.info.run_id, f"epoch/{name}")
        assert [(point.step, point.value) for point in points] == [(epoch, epoch / 7) for epoch in range(1, 301)]


def test_a_slow_epoch_is_sent_when_it_ends(tmp_path: Path) -> None:
    import mlflow

    with tracked_run(store(tmp_path), "headstart", "slow", {}, tmp_path) as tracker:
        client = mlflow.MlflowClient(store(tmp_path))
        for epoch in (1, 2):
            tracker.log_metrics({"epoch/loss": 0.5}, epoch)
            end = time.monotonic() + 120
            while len(client.get_metric_history(tracker.run_id, "epoch/loss")) < epoch:
                assert time.monotonic() < end
                time.sleep(0.05)
