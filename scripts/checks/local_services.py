"""Run a command beside a one-node SLURM, a PostgreSQL or an MLflow server of its own, which end with it.

    python scripts/checks/local_services.py slurm -- headstart train -m hydra/launcher=submitit_slurm seed=0,1
    python scripts/checks/local_services.py postgres -- sh -c 'headstart train -m tracking.uri=$DATABASE_URL'
    python scripts/checks/local_services.py mlflow -- headstart train -m tracking=server seed=0,1

For trying out and for tests. SLURM needs root and the Debian packages slurm-wlm and munge, PostgreSQL the package
postgresql; everything is kept in a temporary directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from headstart.cli.servers import is_listening
from headstart.core.console import console
from headstart.core.program import exit_with

ROOT = Path(__file__).absolute().parents[2]

READY_SECONDS = 120  # time that a service has to become ready
SLURM_PROGRAMS = ("munged", "slurmctld", "slurmd", "sinfo")
POSTGRES_PROGRAMS = "/usr/lib/postgresql/*/bin"  # Debian keeps them off the path

SLURM_CONF = """\
ClusterName=headstart
SlurmctldHost={host}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
GresTypes=gpu
{node} Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# Two devices that every machine has stand for GPUs: SLURM gives them out, no job opens them.
GRES_CONF = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


@contextlib.contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Run a SLURM of one node, this machine, with two stand-ins for GPUs; yields the variables that its users need.

    Raises:
        RuntimeError: when it is not ready in time.
    """
    with _directory() as directory, contextlib.ExitStack() as stack:
        node = subprocess.run(["slurmd", "-C"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        values = {"directory": directory, "host": socket.gethostname(), "node": node}
        text = SLURM_CONF.format(**values, controller_port=free_port(), node_port=free_port())
        (directory / "slurm.conf").write_text(text)
        (directory / "gres.conf").write_text(GRES_CONF)
        for name in ("state", "spool"):
            (directory / name).mkdir()
        key = directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        variables = {"SLURM_CONF": str(directory / "slurm.conf")}
        munge = ["munged", "--foreground", f"--socket={directory}/munge.socket", f"--key-file={key}"]
        munge += [f"--{name}-file={directory}/munged.{name}" for name in ("pid", "log", "seed")]
        stack.enter_context(_running(munge, directory))
        _wait((directory / "munge.socket").exists, "munged")
        stack.enter_context(_running(["slurmctld", "-D"], directory, variables))
        stack.enter_context(_running(["slurmd", "-D"], directory, variables))

        def idle() -> bool:
            asked = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, env={**os.environ, **variables}
            )
            return asked.stdout.strip() == "idle"

        _wait(idle, "SLURM", directory)
        yield variables


@contextlib.contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """Run a PostgreSQL with an empty database; yields its address as DATABASE_URL.

    Raises:
        RuntimeError: when it is not ready in time.
    """
    programs = postgres_programs()
    if programs is None:
        raise RuntimeError(f"Expected PostgreSQL's programs in {POSTGRES_PROGRAMS}. Received: none")
    user = "postgres" if os.getuid() == 0 else None  # it refuses to be run by root
    with _directory(user) as directory:
        data, port = directory / "data", free_port()
        initialise = [str(programs / "initdb"), "-D", str(data), "-U", "headstart", "-A", "trust", "--no-sync"]
        subprocess.run(initialise, check=True, stdout=subprocess.DEVNULL, user=user, cwd=directory)
        command = [programs / "postgres", "-D", data, "-p", port, "-k", directory, "-h", "127.0.0.1"]
        with _running([str(word) for word in command], directory, user=user):
            _wait(
                lambda: is_listening(port) and (data / "postmaster.pid").read_text().endswith("ready   \n"),
                "PostgreSQL",
            )
            yield {"DATABASE_URL": f"postgresql://headstart@127.0.0.1:{port}/postgres"}


@contextlib.contextmanager
def mlflow_server(store: str | None = None) -> Iterator[dict[str, str]]:
    """Run an MLflow server; yields its address as MLFLOW_TRACKING_URI.

    Args:
        store: address of the database behind it; None is a SQLite file of its own.

    Raises:
        RuntimeError: when it is not ready in time.
    """
    with _directory() as directory:
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--workers", "2", "--artifacts-destination", str(directory / "artifacts")]
        command += ["--backend-store-uri", store or f"sqlite:///{directory}/mlflow.db"]
        with _running(command, directory):
            _wait(lambda: is_listening(port), "the MLflow server", directory)
            yield {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}


@contextlib.contextmanager
def model_server(model: str) -> Iterator[str]:
    """Serve a logged model as `mlflow models serve` does; yields the server's address.

    Args:
        model: its directory or MLflow URI.

    Raises:
        RuntimeError: when it is not ready in time.
    """
    with _directory() as directory:
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model, "--port", str(port)]
        # It looks for uvicorn on the path, which lies beside Python.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with _running([*command, "--env-manager", "local"], directory, {"PATH": path}):
            _wait(lambda: is_listening(port), "the served model", directory)
            yield f"http://127.0.0.1:{port}"


SERVICES = {"slurm": slurm, "postgres": postgres, "mlflow": mlflow_server}


def missing_for_slurm() -> str | None:
    """Return why SLURM cannot be run here, None where it can."""
    absent = [name for name in SLURM_PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm, munge)"
    return None if os.getuid() == 0 else "only root can run SLURM's daemons"


def postgres_programs() -> Path | None:
    """Return the directory of PostgreSQL's newest programs, None where it is not installed."""
    found = sorted(Path("/").glob(f"{POSTGRES_PROGRAMS[1:]}/postgres"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def _directory(owner: str | None = None) -> Iterator[Path]:
    """Yield a directory of its own, short enough for a socket's path, that is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="headstart-"))
    if owner is not None:
        shutil.chown(directory, owner)
    else:
        directory.chmod(0o755)  # SLURM refuses a socket where others cannot look
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def _running(
    command: list[str], directory: Path, variables: dict[str, str] | None = None, user: str | None = None
) -> Iterator[None]:
    """Run a program in the background and end it, and what it started, at the end."""
    with (directory / f"{Path(command[0]).name}.out").open("ab") as output:
        environment = {**os.environ, **(variables or {})}
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, user=user, cwd=directory, start_new_session=True
        )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 2 if user else 15)  # SIGINT: PostgreSQL would wait for its clients at SIGTERM
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait(ready: Callable[[], bool], name: str, directory: Path | None = None) -> None:
    """Wait until a service is ready."""
    end = time.monotonic() + READY_SECONDS
    while not ready():
        if time.monotonic() > end:
            logs = [file for suffix in ("log", "out") for file in (directory.glob(f"*.{suffix}") if directory else ())]
            said = "\n".join(f"{file.name}: {file.read_text(errors='replace')[-1000:]}" for file in logs)
            raise RuntimeError(f"Expected {name} to be ready within {READY_SECONDS} s. Received: nothing\n{said}")
        time.sleep(0.2)


def main() -> int:
    """Read the command line, run the command beside the service, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("command", nargs="+", help="after --, with its arguments")
    arguments = parser.parse_args()
    with SERVICES[arguments.service]() as variables:
        for name, value in variables.items():
            console.print(f"{name}={value}", markup=False, soft_wrap=True)
        return subprocess.run(arguments.command, env={**os.environ, **variables}).returncode


if __name__ == "__main__":
    exit_with(main, ROOT)
