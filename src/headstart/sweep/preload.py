"""The imports of the fork server, the process from which the jobs of a sweep are forked.

It only imports: a thread that it started or a device that it opened would be missing or broken in the jobs.
"""

import signal

from headstart.core.keras_settings import leave_out_optional_packages
from headstart.core.program import collect_garbage_less_often
from headstart.core.signals import ENDING
from headstart.core.tensorflow_import import import_tensorflow
from headstart.tracking import import_mlflow

for number in ENDING:  # it must outlive the jobs, to report their exit codes, and ends with the launching process
    signal.signal(number, signal.SIG_IGN)
collect_garbage_less_often()
leave_out_optional_packages()
import_tensorflow(look_for_gpus=False)
import_mlflow("sqlite:///")

import hydra  # noqa: E402, F401
import matplotlib.pyplot  # noqa: E402, F401
import sklearn.linear_model  # noqa: E402, F401

import headstart.run.experiment  # noqa: E402, F401
