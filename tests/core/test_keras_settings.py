"""headstart works the same whatever a machine's Keras and matplotlib settings are, and reports what it ignores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from headstart.core import keras_settings
from headstart.core import program as program_module
from headstart.core.errors import HeadstartError
from headstart.core.keras_settings import VARIABLES, import_keras, prepare_keras_import
from headstart.core.program import prepare_program

ROOT = Path(__file__).parents[2]
HOSTILE = {"backend": "torch", "image_data_format": "channels_first", "floatx": "float64", "epsilon": 0.01}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory for `keras.json`, in a process without Keras settings that has not imported Keras."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "KERAS_BACKEND", "")  # so that the test's value is undone
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "keras")
    return tmp_path


@pytest.mark.parametrize(
    ("variables", "notice"),
    [
        ({}, ""),
        ({"KERAS_BACKEND": "tensorflow", "TF_USE_LEGACY_KERAS": "0"}, ""),
        ({"KERAS_BACKEND": "jax"}, "KERAS_BACKEND=jax is ignored"),
        ({"KERAS_BACKEND": "torch"}, "KERAS_BACKEND=torch is ignored"),
        ({"TF_USE_LEGACY_KERAS": "1"}, "TF_USE_LEGACY_KERAS=1 is ignored"),
        ({"KERAS_MAX_EPOCHS": "1"}, "KERAS_MAX_EPOCHS=1 is ignored"),
        ({"KERAS_MAX_STEPS_PER_EPOCH": "many"}, "KERAS_MAX_STEPS_PER_EPOCH=many is ignored"),
    ],
)
def test_harmful_environment_variables_are_ignored(
    variables: dict[str, str], notice: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    prepare_keras_import()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (f"headstart trains with Keras on TensorFlow; {notice}\n" if notice else "")
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert not [name for name in variables if name.startswith("KERAS_MAX")] or "KERAS_MAX_EPOCHS" not in os.environ
    prepare_keras_import()
    assert capsys.readouterr().err == ""  # once is enough


@pytest.mark.parametrize(
    ("stored", "notice"),
    [
        ('{"backend": "tensorflow"}', ""),
        ("not JSON", ""),  # which Keras ignores, too
        ("[1]", ""),
        ('{"backend": "jax"}', "backend=jax in"),
    ],
)
def test_another_backend_in_the_settings_file_is_ignored(
    stored: str, notice: str, home: Path, capsys: pytest.CaptureFixture
) -> None:
    (home / "keras.json").write_text(stored)
    prepare_keras_import()
    printed = capsys.readouterr().err
    assert (notice in printed and str(home / "keras.json") in printed) if notice else printed == ""


def test_changed_defaults_are_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(json.dumps(HOSTILE))
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_max_epochs(1)
    import_keras()
    file = tmp_path / "keras.json"
    assert capsys.readouterr().err == (
        f"headstart trains with Keras's own defaults; floatx=float64 in {file}, image_data_format=channels_first in "
        f"{file}, max_epochs=1 is ignored\n"
    )
    found = keras.config.floatx(), keras.config.image_data_format(), keras.config.max_epochs()
    assert found == ("float32", "channels_last", None)
    import_keras()
    assert capsys.readouterr().err == ""


def test_keras_with_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(HeadstartError, match=r"imported Keras with the jax .* Restart it \(in a notebook the kernel\)"):
        import_keras()


def test_an_invalid_settings_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat16"}')
    program = "from headstart.core.keras_settings import import_keras\nimport_keras()"
    printed = start(["-c", program], KERAS_HOME=str(tmp_path)).stderr
    assert f"Keras cannot read its settings in {tmp_path / 'keras.json'} (Invalid `floatx`" in printed


@pytest.mark.parametrize("backend", ["module://not_installed.backend", "nonsense"])
def test_matplotlib_imports_whatever_backend_the_environment_names(backend: str) -> None:
    program = "from headstart.core.keras_settings import prepare_keras_import\nprepare_keras_import()\n"
    program += "import matplotlib.pyplot"
    answer = start(["-c", program], MPLBACKEND=backend)
    assert answer.returncode == 0, answer.stderr


def test_programs_import_keras_without_its_optional_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr(program_module, "fix_directories", lambda: None)
    monkeypatch.setattr(keras_settings, "OPTIONAL", ("colorsys",))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.setattr(keras_settings._Import, "without_optional", False)
    with keras_settings._optional_packages():
        import colorsys
    del sys.modules["colorsys"]
    prepare_program()
    with keras_settings._optional_packages(), pytest.raises(ImportError):
        import colorsys
    import colorsys

    assert colorsys.ONE_THIRD


def test_programs_draw_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "tkagg")
    monkeypatch.setattr(program_module, "fix_directories", lambda: None)
    prepare_program()
    assert os.environ["MPLBACKEND"] == "agg"


def start(arguments: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


NOTEBOOK = """
import json, sys
from pathlib import Path
import headstart

classifier = headstart.load_classifier(sys.argv[1])
[(file, probabilities)] = classifier.predict([Path(sys.argv[2])])
print(json.dumps(probabilities.tolist()))
"""


@pytest.mark.slow
def test_every_entry_point_with_every_hostile_setting_at_once(finished_run: Path, folder: Path, tmp_path: Path) -> None:
    from headstart.classifier.saved import load_classifier

    (tmp_path / "keras.json").write_text(json.dumps(HOSTILE))
    hostile = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "1", "TF_USE_LEGACY_KERAS": "1"}
    hostile |= {"MPLBACKEND": "module://not_installed.backend_inline", "HEADSTART_OUTPUTS": str(tmp_path / "outputs")}
    picture = folder / "red" / "000.png"
    [(_, expected)] = load_classifier(finished_run / "classifier").predict([picture])

    notebook = start(["-c", NOTEBOOK, str(finished_run / "classifier"), str(picture)], **hostile)
    assert notebook.returncode == 0, notebook.stderr
    np.testing.assert_allclose(json.loads(notebook.stdout), expected, atol=1e-5)
    assert "KERAS_BACKEND=jax is ignored" in notebook.stderr

    program = start(["-m", "headstart", "predict", str(finished_run), str(picture), "--format", "csv"], **hostile)
    assert program.returncode == 0, program.stderr
    assert program.stdout.startswith("path,label,confidence")

    tiny = ["dataset=folder", f"dataset.root={folder}", "backbone=small_cnn", "image_size=32", "freeze=scratch"]
    sweep = start(["run.py", "-m", *tiny, "epochs=2", "seed=0,1"], **hostile)
    assert sweep.returncode == 0, sweep.stdout + sweep.stderr
    found = [json.loads(file.read_text()) for file in (tmp_path / "outputs").glob("sweeps/*/*/results.json")]
    assert [results["status"] for results in found] == ["FINISHED"] * 2
    histories = [file.read_text().splitlines() for file in (tmp_path / "outputs").glob("sweeps/*/*/history.csv")]
    assert [len(lines) for lines in histories] == [3, 3]  # KERAS_MAX_EPOCHS would have ended them after one
