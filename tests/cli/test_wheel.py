"""The wheel: what is in it, and that it trains and predicts from an empty directory without the clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SOURCES = ("src", "conf", "run.py", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from a copy: building leaves directories behind."""
    pytest.importorskip("setuptools", "77")
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=copy, capture_output=True, check=True)
    [file] = (copy / "dist").glob("*.whl")
    return file


def test_the_wheel_holds_the_code_the_configuration_and_what_the_code_reads(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*.py")}
    data = {
        path.relative_to(ROOT / "src").as_posix()
        for pattern in ("*.j2", "*.json", "py.typed")
        for path in (ROOT / "src" / "headstart").rglob(pattern)
    }
    configuration = {f"headstart/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert len(data) >= 4
    assert "headstart/conf/config.yaml" in configuration
    assert sources | data | configuration <= names
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {"headstart", "hydra_plugins"}


@pytest.mark.slow
def test_the_installed_wheel_trains_and_predicts_from_an_empty_directory(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    [packages] = environment.glob("lib/python*/site-packages")
    # pip would else uninstall the headstart of this environment, in which it runs.
    options = ["--quiet", "--no-deps", "--no-index", "--ignore-installed", "--prefix", environment]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, wheel], check=True)
    # The dependencies of this environment, without what its own .pth files add: an editable headstart among them.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")
    program = environment / "bin" / "headstart"
    program.write_text("\n".join([f"#!{environment / 'bin' / 'python'}", *program.read_text().splitlines()[1:], ""]))

    work = tmp_path / "work"
    work.mkdir()
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HEADSTART_", "MLFLOW_", "PYTHONPATH", "VIRTUAL_ENV"))
    }

    def headstart(*words: str) -> str:
        answer = subprocess.run([program, *words], cwd=work, env=variables, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    headstart("train", "freeze=all", "epochs=1", "dataset.fraction=0.2")
    assert [path.name for path in work.iterdir()] == ["outputs"]
    [run] = (work / "outputs" / "runs").iterdir()
    results = json.loads((run / "results.json").read_text())
    assert results["status"] == "FINISHED"
    assert results["command"] == "headstart train freeze=all epochs=1 dataset.fraction=0.2"
    assert results["environment"]["commit"] is None  # of no clone
    assert (work / "outputs" / "mlflow.db").is_file()

    Image.new("L", (8, 8), 200).save(work / "photo.png")
    [row] = json.loads(headstart("predict", "latest", "photo.png", "--format", "json"))
    assert row["label"] in {str(digit) for digit in range(10)}

    where = (
        "import headstart.core.paths as p, hydra_plugins.headstart_optuna as o; print(p.conf_directory(), o.__file__)"
    )
    found = subprocess.run(
        [environment / "bin" / "python", "-c", where],
        cwd=work,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    conf, plugin = found.stdout.split()
    assert Path(conf) == packages / "headstart" / "conf"
    assert Path(plugin) == packages / "hydra_plugins" / "headstart_optuna.py"
    assert str(ROOT) not in (run / "config.yaml").read_text() + (run / "results.json").read_text()
    assert str(ROOT) not in "".join(path.read_text() for path in (run / "hydra").glob("*.yaml"))
