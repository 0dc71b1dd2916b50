"""Why TensorFlow cannot use a GPU, read from its log. The logs are those that its users posted."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.core import gpu, tensorflow_import
from headstart.core.gpu import has_gpu, hiding_setting, reason_in_log

LIBRARY = "2022-07-10 15:08:09.276131: W tensorflow/stream_executor/platform/default/dso_loader.cc:64] Could not load "
LIBRARY += "dynamic library '{0}'; dlerror: {0}: cannot open shared object file: No such file or directory; "
LIBRARY += "LD_LIBRARY_PATH: /usr/local/nvidia/lib\n"
CANNOT_DLOPEN = (
    "2022-07-10 15:08:09.276917: W tensorflow/core/common_runtime/gpu/gpu_device.cc:1850] Cannot dlopen some GPU "
    "libraries. Please make sure the missing libraries mentioned above are installed properly if you would like to use "
    "GPU. Follow the guide at https://www.tensorflow.org/install/gpu for how to download and setup the required "
    "libraries for your platform.\nSkipping registering GPU devices...\n"
)
NO_RUNTIME = (
    "I0000 00:00:1795781300.649460   17749 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will "
    "not be used.\n"
)
MISMATCH = (
    "E tensorflow/stream_executor/cuda/cuda_driver.cc:406] failed call to cuInit: CUDA_ERROR_NO_DEVICE\n"
    "I tensorflow/stream_executor/cuda/cuda_diagnostics.cc:189] libcuda reported version is: 375.66.0\n"
    "E tensorflow/stream_executor/cuda/cuda_diagnostics.cc:303] kernel version 384.130.0 does not match DSO version "
    "375.66.0 -- cannot find working devices in this configuration\n"
)
NO_LIBCUDA = (
    "I0000 00:00:1795781305.714502   17749 dso_loader.cc:144] Could not load dynamic library 'libcuda.so.1'; dlerror: "
    "libcuda.so.1: cannot open shared object file: No such file or directory\n"
    "E0000 00:00:1795781305.714553   17749 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed "
    "call to cuInit: UNKNOWN ERROR (303)\n"
)
CU_INIT = (
    "E tensorflow/stream_executor/cuda/cuda_driver.cc:328] failed call to cuInit: CUDA_ERROR_UNKNOWN: unknown error\n"
)
NEW_CU_INIT = (
    "E0000 00:00:1 99 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: "
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE: forward compatibility was attempted on non supported HW\n"
)
TOO_OLD = (
    "tensorflow.python.framework.errors_impl.InternalError: cudaGetDevice() failed. Status: CUDA driver version is "
    "insufficient for CUDA runtime version\n"
)
OLD_GPU = (
    "I tensorflow/core/common_runtime/gpu/gpu_device.cc:1096] Ignoring visible gpu device (device: 0, name: GeForce GT "
    "730, pci bus id: 0000:01:00.0, compute capability: 3.0) with Cuda compute capability 3.0. The minimum required "
    "Cuda capability is 3.5.\n"
)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (MISMATCH, "the driver's kernel module is version 384.130.0, its library version 375.66.0; restart"),
        (NO_RUNTIME + NO_LIBCUDA, "libcuda.so.1, a part of NVIDIA's driver, cannot be loaded"),
        (CU_INIT, "the driver does not start (CUDA_ERROR_UNKNOWN: unknown error)"),
        (NEW_CU_INIT, "the driver is too old for TensorFlow's CUDA (CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE)"),
        (TOO_OLD, "the driver is too old for TensorFlow's CUDA (CUDA driver version is insufficient"),
        (
            LIBRARY.format("libcusolver.so.11") + LIBRARY.format("libcudnn.so.8") + CANNOT_DLOPEN,
            "libcusolver.so.11, libcudnn.so.8 cannot be loaded; pip install 'headstart[cuda]'",
        ),
        (CANNOT_DLOPEN, "some of CUDA's libraries cannot be loaded; pip install 'headstart[cuda]'"),
        (NO_RUNTIME, "CUDA's runtime is not found; pip install 'headstart[cuda]'"),
        (OLD_GPU, "its compute capability is 3.0, and TensorFlow needs 3.5"),
    ],
)
def test_the_reason_is_found_in_a_log(log: str, reason: str) -> None:
    assert (reason_in_log(log) or "").startswith(reason)


@pytest.mark.parametrize("log", ["", "oneDNN custom operations are on.", "This TensorFlow binary is optimized"])
def test_other_log_lines_give_no_reason(log: str) -> None:
    assert reason_in_log(log) is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, False),
        ({"proc/driver/nvidia/version": "NVRM"}, False),
        ({"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model"}, True),
        ({"dev/nvidia0": "", "dev/nvidiactl": ""}, True),
        ({"dev/nvidiactl": ""}, False),
        ({"usr/lib/wsl/lib/libcuda.so.1": ""}, True),
        ({"sys/bus/pci/devices/1/vendor": "0x10de\n", "sys/bus/pci/devices/1/class": "0x030000\n"}, True),
        (
            {"sys/bus/pci/devices/1/vendor": "0x10de\n", "sys/bus/pci/devices/1/class": "0x040300\n"},
            False,
        ),  # its audio device
        ({"sys/bus/pci/devices/1/vendor": "0x8086\n", "sys/bus/pci/devices/1/class": "0x030000\n"}, False),
    ],
)
def test_a_gpu_is_detected_by_device_files(files: dict[str, str], expected: bool, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert has_gpu(tmp_path) is expected


@pytest.mark.parametrize(("given", "hides"), [(None, False), ("0", False), ("0,1", False), ("-1", True), ("", True)])
def test_hidden_gpus_are_recognised(given: str | None, hides: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert (hiding_setting() is not None) is hides


@pytest.mark.parametrize("has_gpu", [True, False])
def test_an_unusable_gpu_is_reported_in_one_line(
    has_gpu: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(gpu, "has_gpu", lambda: has_gpu)
    monkeypatch.setattr(gpu, "_full_log", lambda: MISMATCH)
    monkeypatch.setattr(tensorflow_import._GpuSearch, "done", False)
    gpu.why_unused.cache_clear()
    tensorflow_import.import_tensorflow()
    printed = capsys.readouterr().err
    expected = "TensorFlow cannot use the GPU of this machine: the driver's kernel module is version 384.130.0"
    assert printed.startswith(expected) if has_gpu else printed == ""
    assert printed.count("\n") == has_gpu
    tensorflow_import.import_tensorflow()
    assert capsys.readouterr().err == ""
