"""The served classifier answers like the one on disk, and with HTTP 400 and a reason if the input is no image."""

from __future__ import annotations

import base64
import json
import struct
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.classifier.saved import Classifier, load_classifier
from local_services import model_server

SIZE = 32  # of the classifier of `finished_run`


@pytest.fixture(scope="module")
def model_directory(finished_run: Path) -> Path:
    """Return the directory of the model that the run logged."""
    import mlflow

    results = json.loads((finished_run / "results.json").read_text())
    client = mlflow.MlflowClient(results["tracking_uri"])
    found = client.search_logged_models(experiment_ids=[results["experiment_id"]])
    [model] = [model for model in found if model.source_run_id == results["run_id"]]
    return Path(model.artifact_location.removeprefix("file://"))


@pytest.fixture(scope="module")
def classifier(finished_run: Path) -> Classifier:
    return load_classifier(finished_run)


@pytest.fixture(scope="module")
def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/00[12].png"))


Ask = Callable[[object], tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def ask(model_directory: Path) -> Ask:
    """Return what sends a request to the scoring server's own code, without a process and a port."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc.scoring_server import invocations

    model = mlflow.pyfunc.load_model(str(model_directory))
    schema = model.metadata.get_input_schema()

    def answer(content: object) -> tuple[int, dict[str, Any]]:
        try:
            found = invocations(json.dumps(content).encode(), "application/json", model, schema)
        except MlflowException as error:  # what its wrapper around every request does
            return error.get_http_status_code(), json.loads(error.serialize_as_json())
        return found.status, json.loads(found.response)

    return answer


def text_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def bomb() -> bytes:
    """Return a PNG of a few bytes that says it has 4 billion pixels."""
    header = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


BLACK = np.zeros((SIZE, SIZE, 3), int).tolist()


def pixels(value: Any) -> list:
    """Return black pixels of which one is something else."""
    image = np.zeros((SIZE, SIZE, 3), object)
    image[3, 4, 1] = value
    return image.tolist()


# The request, and what the answer must say.
BAD = {
    "no base64": ({"inputs": {"image": ["not base64!"]}}, "base64"),
    "letters beyond ASCII": ({"inputs": {"image": ["Käfer"]}}, "base64"),
    "no picture": ({"inputs": {"image": [text_of(b"no picture")]}}, "its content is none of JPEG"),
    "nothing": ({"inputs": {"image": [""]}}, "the file is empty"),
    "half a picture": ({"inputs": {"image": [text_of(b"\x89PNG\r\n\x1a\n\0\0")]}}, "image that can be read"),
    "a decompression bomb": ({"inputs": {"image": [text_of(bomb())]}}, "limit"),
    "the second is none": (
        {"dataframe_records": [{"image": BLACK}, {"image": text_of(b"no picture")}]},
        "(image 1, counted from 0)",
    ),
    "another size": ({"inputs": [np.zeros((8, 8, 3)).tolist()]}, "Received: shape (8, 8, 3)"),
    "grey": ({"inputs": [np.zeros((SIZE, SIZE)).tolist()]}, f"Received: shape ({SIZE}, {SIZE})"),
    "one picture, not a list of them": ({"inputs": BLACK}, f"Received: shape ({SIZE}, 3)"),
    "too bright": ({"inputs": [pixels(256)]}, "values from 0 to 256"),
    "below black": ({"inputs": [pixels(-0.5)]}, "values from -0.5 to 0"),
    "no number": ({"inputs": [pixels(float("nan"))]}, "NaN"),
    "no end": ({"inputs": [pixels(float("inf"))]}, "values from 0 to inf"),
    "a number beyond floats": ({"inputs": [pixels(10**400)]}, "values that are not numbers"),
    "a text among numbers": ({"inputs": [pixels("1")]}, "values that are not numbers"),
    "a hole": ({"inputs": [pixels(None)]}, "values that are not numbers"),
    "truths": ({"inputs": [np.zeros((SIZE, SIZE, 3), bool).tolist()]}, "values that are not numbers"),
    "ragged": ({"inputs": [[[[1, 2, 3], [1, 2]]]]}, "lists of different lengths"),
    "an empty list": ({"inputs": []}, "at least one image"),
    "an empty column": ({"inputs": {"image": []}}, "at least one image"),
    "no rows": ({"dataframe_split": {"columns": ["image"], "data": []}}, "at least one image"),
    "null": ({"inputs": {"image": None}}, "Received: NoneType"),
    "a number": ({"inputs": {"image": 5}}, "Received: int 5"),
    "a row without": ({"dataframe_records": [{"image": BLACK}, {}]}, "Received: float nan"),
    "another column": ({"dataframe_records": [{"picture": "abc"}]}, "missing inputs ['image']"),
    "no column": ({"inputs": {}}, "missing inputs ['image']"),
    "no records": ({"dataframe_records": []}, "missing inputs ['image']"),
    "no input": ({}, "exactly one of the input fields"),
    "a list": ([], "Received a list"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_400_with_the_reason(name: str, ask: Ask) -> None:
    request, says = BAD[name]
    status, answer = ask(request)
    assert status == 400
    assert says in answer["message"]
    assert "stack_trace" not in answer
    assert "Traceback" not in answer["message"]
    if "MLflow" not in answer["message"] and "enforce" not in answer["message"]:
        assert len(answer["message"]) < 300  # does not bring the request back


def as_tensor(files: list[Path], classifier: Classifier) -> object:
    return {"inputs": np.stack([classifier.load(file) for file in files]).tolist()}


def as_text(files: list[Path], classifier: Classifier) -> object:
    return {"inputs": {"image": [text_of(file.read_bytes()) for file in files]}}


def as_list_of_text(files: list[Path], classifier: Classifier) -> object:
    return {"inputs": [text_of(file.read_bytes()) for file in files]}


def as_instances(files: list[Path], classifier: Classifier) -> object:
    return {"instances": [{"image": text_of(file.read_bytes())} for file in files]}


def as_records(files: list[Path], classifier: Classifier) -> object:
    texts = [{"image": text_of(file.read_bytes())} for file in files[1:]]
    return {"dataframe_records": [{"image": classifier.load(files[0]).tolist()}, *texts]}


def as_split(files: list[Path], classifier: Classifier) -> object:
    return {"dataframe_split": {"columns": ["image"], "data": [[text_of(file.read_bytes())] for file in files]}}


@pytest.mark.parametrize("form", [as_tensor, as_text, as_list_of_text, as_instances, as_records, as_split])
def test_every_input_format_gives_the_classifier_s_answers(
    form: Callable[[list[Path], Classifier], object], ask: Ask, classifier: Classifier, files: list[Path]
) -> None:
    status, answer = ask(form(files, classifier))
    assert status == 200
    expected = [row for _, row in classifier.predict(files)]
    assert len(answer["predictions"]) == len(files)
    examined = [prediction for _, prediction in classifier.examine_files(files)]
    assert [row["unfamiliar"] for row in answer["predictions"]] == [found.unfamiliar for found in examined]
    np.testing.assert_allclose(
        [row["distance"] for row in answer["predictions"]], [found.distance for found in examined], atol=1e-4
    )
    for row, wanted in zip(answer["predictions"], expected, strict=True):
        assert list(row) == ["label", "confidence", "probabilities", "unfamiliar", "distance"]
        expect_answer(row, wanted, classifier.class_names)


def test_more_images_than_a_batch_holds(ask: Ask, classifier: Classifier, files: list[Path]) -> None:
    from headstart.classifier.serving import BATCH_SIZE

    many = (files * BATCH_SIZE)[: BATCH_SIZE + 1]
    status, answer = ask(as_text(many, classifier))
    assert status == 200
    assert len(answer["predictions"]) == BATCH_SIZE + 1
    first, last = (list(answer["predictions"][place]["probabilities"].values()) for place in (0, BATCH_SIZE))
    assert many[0] != many[BATCH_SIZE]
    assert first != last
    [(_, expected)] = classifier.predict([many[BATCH_SIZE]])
    np.testing.assert_allclose(last, expected, atol=1e-6)


@pytest.mark.slow
def test_a_server_answers_good_and_bad_requests(
    model_directory: Path, classifier: Classifier, files: list[Path]
) -> None:
    expected = [row for _, row in classifier.predict(files)]
    with model_server(str(model_directory)) as url:

        def ask_one(number: int) -> tuple[int, dict[str, Any]]:
            return post(url, json.dumps(as_text([files[number % len(files)]], classifier)).encode())

        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(ask_one, range(60)))
        for number, (status, answer) in enumerate(answers):
            assert status == 200
            expect_answer(answer["predictions"][0], expected[number % len(files)], classifier.class_names)
        for request, says in BAD.values():
            status, answer = post(url, json.dumps(request).encode())
            assert status == 400
            assert says in answer["message"]
        assert post(url, b"no JSON")[0] == 400


def expect_answer(row: dict[str, Any], wanted: np.ndarray, class_names: tuple[str, ...]) -> None:
    """Assert that an answer has the classifier's own probabilities, label and confidence."""
    found = [row["probabilities"][name] for name in class_names]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert row["label"] == class_names[int(wanted.argmax())]
    assert row["confidence"] == max(found)


def post(url: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON of a served model's answer."""
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
