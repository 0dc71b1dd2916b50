"""Each augmentation changes an image as configured, and the image's seed alone decides how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image, ImageEnhance, ImageOps

from headstart.config import AugmentationConfig
from headstart.core.errors import HeadstartError
from headstart.data.augmentation import GEOMETRY, OPERATIONS, Augmentation, operation_colour
from headstart.data.warp import affine, projective, warp

SHIPPED = sorted(Path(__file__).parents[2].glob("conf/augmentation/*.yaml"))
EVERYTHING = {"flip": True, "rotation": 40.0, "shift": 0.2, "shear": 0.2, "zoom": 0.2, "randaugment": 0.5}


def augmentation(**values) -> Augmentation:
    return Augmentation(AugmentationConfig(name="test", **values))


def changed_images(change: Augmentation, images: np.ndarray, image_seeds: np.ndarray) -> np.ndarray:
    """Return the augmented images as a pipeline computes them: in a graph, many times faster than eagerly."""
    data = tf.data.Dataset.from_tensors((images, image_seeds)).map(change.images)
    return next(data.as_numpy_iterator())


def noise(batch: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


def smooth_image(size: int = 48) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, 3, size), np.linspace(0, 3, size))
    return (127 + 60 * np.stack([np.sin(x + y), np.cos(2 * x), np.sin(y - x)], axis=-1)).astype(np.float32)


def seeds(batch: int, first: int = 0) -> np.ndarray:
    return np.stack([np.full(batch, first), np.arange(batch)], axis=1).astype(np.int32)


def warped(image: np.ndarray, matrix: tf.Tensor, fill: str = "nearest") -> np.ndarray:
    transform = projective(matrix, image.shape[0], image.shape[1])
    return warp(image[None], transform[None], fill)[0].numpy()


def test_shift_moves_the_image_right_and_down():
    image = noise(1)[0]
    moved = warped(image, affine(shift=(3.0, 2.0)), fill="constant")
    np.testing.assert_allclose(moved[2:, 3:], image[:-2, :-3], atol=1e-3)
    assert not moved[:2].any()
    assert not moved[:, :3].any()


@pytest.mark.parametrize(
    ("fill", "left_of_the_image"),
    [("nearest", [1, 1, 1]), ("reflect", [3, 2, 1]), ("constant", [0, 0, 0])],
)
def test_fill(fill, left_of_the_image):
    row = np.tile(np.arange(1, 7, dtype=np.float32)[None, :, None], (6, 1, 3))
    moved = warped(row, affine(shift=(3.0, 0.0)), fill=fill)
    np.testing.assert_allclose(moved[0, :, 0], [*left_of_the_image, 1, 2, 3], atol=1e-4)


def test_flip_is_exact():
    image = noise(1)[0]
    np.testing.assert_array_equal(warped(image, affine(flip=True)), image[:, ::-1])


@pytest.mark.parametrize("size", [8, 9])
def test_rotation_is_counter_clockwise_about_the_centre(size):
    image = noise(1, size)[0]
    np.testing.assert_allclose(warped(image, affine(rotation=90.0)), np.rot90(image), atol=1e-2)


def test_zoom_below_one_enlarges_the_middle():
    image = noise(1, 9)[0]
    enlarged = warped(image, affine(zoom=(0.5, 0.5)))
    np.testing.assert_allclose(enlarged[::2, ::2], image[2:7, 2:7], atol=1e-3)
    shrunk = warped(image, affine(zoom=(2.0, 2.0)), fill="constant")
    np.testing.assert_allclose(shrunk[2:7, 2:7], image[::2, ::2], atol=1e-3)
    assert not shrunk[:2].any()


def test_shear_slides_rows_by_their_height_above_the_centre():
    image = noise(1, 9)[0]
    sheared = warped(image, affine(shear=(1.0, 0.0)), fill="constant")
    for row in range(9):
        slide = 4 - row
        expected = np.zeros_like(image[row])
        expected[max(slide, 0) : 9 + min(slide, 0)] = image[row][max(-slide, 0) : 9 - max(slide, 0)]
        np.testing.assert_allclose(sheared[row], expected, atol=1e-3)


def test_one_composed_warp_equals_its_steps_in_sequence():
    image = smooth_image()
    steps = [
        {"rotation": 25.0},
        {"shift": (4.0, -3.0)},
        {"shear": (0.2, 0.0)},
        {"zoom": (0.8, 0.9)},
        {"flip": True},
    ]
    in_turn = image
    for step in steps:
        in_turn = warped(in_turn, affine(**step))
    at_once = warped(image, affine(**{name: value for step in steps for name, value in step.items()}))
    middle = slice(12, 36)
    assert np.abs(at_once - in_turn)[middle, middle].max() < 1.5
    assert np.abs(at_once - image)[middle, middle].max() > 20


def test_the_same_image_and_seed_give_the_same_result_in_any_batch():
    images, image_seeds = noise(7), seeds(7)
    change = tf.function(augmentation(**EVERYTHING).images, reduce_retracing=True)
    together = change(images, image_seeds).numpy()
    backwards = change(images[::-1].copy(), image_seeds[::-1].copy()).numpy()
    np.testing.assert_array_equal(backwards[::-1], together)
    for position in (0, 3, 6):
        alone = change(images[position : position + 1], image_seeds[position : position + 1]).numpy()
        np.testing.assert_array_equal(alone[0], together[position])


def test_other_seeds_give_other_results():
    images = np.repeat(noise(1), 16, axis=0)
    change = augmentation(rotation=40.0)
    first = changed_images(change, images, seeds(16))
    assert len(np.unique(first.reshape(16, -1), axis=0)) == 16
    assert not np.allclose(first, changed_images(change, images, seeds(16, first=1)))


def test_about_half_of_the_images_are_flipped():
    image = noise(1, 4)
    changed = changed_images(augmentation(flip=True), np.repeat(image, 200, axis=0), seeds(200))
    flipped = (changed == image[:, :, ::-1]).all(axis=(1, 2, 3))
    assert ((changed == image).all(axis=(1, 2, 3)) | flipped).all()
    assert 70 < flipped.sum() < 130


def test_one_more_option_does_not_change_the_other_draws():
    images = noise(4)
    only_flip = changed_images(augmentation(flip=True), images, seeds(4))
    also_rotation = changed_images(augmentation(flip=True, rotation=1e-4), images, seeds(4))
    np.testing.assert_allclose(also_rotation, only_flip, atol=0.1)


@pytest.mark.parametrize(
    "fill", ["nearest", *(pytest.param(fill, marks=pytest.mark.slow) for fill in ("reflect", "constant"))]
)
def test_values_stay_in_range_in_a_graph_with_a_small_last_batch(fill):
    change = augmentation(**EVERYTHING | {"randaugment": 1.0}, mixup=0.2, cutmix=1.0, fill=fill)

    def augment(images, labels, image_seeds):
        return change.mix(change.images(images, image_seeds), labels, image_seeds[0])

    labels = np.eye(3, dtype=np.float32)[np.arange(17) % 3]
    extremes = np.where(noise(17) > 127, 255, 0).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((extremes, labels, seeds(17))).batch(16).map(augment)
    batches = list(data.as_numpy_iterator())
    assert [images.shape for images, _ in batches] == [(16, 12, 12, 3), (1, 12, 12, 3)]
    for images, mixed in batches:
        assert images.dtype == np.float32
        assert images.min() >= 0
        assert images.max() <= 255
        np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)


def test_graph_and_eager_agree():
    images, image_seeds = noise(2), seeds(2)
    change = augmentation(**EVERYTHING)
    in_graph = changed_images(change, images, image_seeds)
    np.testing.assert_allclose(change.images(images, image_seeds).numpy(), in_graph, atol=1e-2)


def test_the_default_configuration_changes_nothing():
    change = augmentation()
    assert not change.changes_images
    assert not change.mixes
    images, labels = noise(2), np.eye(2)
    np.testing.assert_array_equal(change.images(images, seeds(2)), images)
    mixed_images, mixed_labels = change.mix(images, labels, np.array([1, 2]))
    np.testing.assert_array_equal(mixed_images, images)
    np.testing.assert_array_equal(mixed_labels, labels)


def recoloured(name: str, image: np.ndarray, magnitude: float = 0.5, sign: float = 1.0) -> np.ndarray:
    operation = tf.constant(OPERATIONS.index(name))
    return operation_colour(tf.constant(image, tf.float32), operation, magnitude, tf.constant(float(sign))).numpy()


@pytest.mark.parametrize(
    ("name", "sign", "reference"),
    [
        ("identity", 1, lambda picture: picture),
        ("auto_contrast", 1, ImageOps.autocontrast),
        ("equalize", 1, ImageOps.equalize),
        ("solarize", 1, lambda picture: ImageOps.solarize(picture, 128)),
        ("posterize", 1, lambda picture: ImageOps.posterize(picture, 6)),
        ("colour", 1, lambda picture: ImageEnhance.Color(picture).enhance(1.45)),
        ("contrast", -1, lambda picture: ImageEnhance.Contrast(picture).enhance(0.55)),
        ("brightness", 1, lambda picture: ImageEnhance.Brightness(picture).enhance(1.45)),
        ("sharpness", -1, lambda picture: ImageEnhance.Sharpness(picture).enhance(0.55)),
    ],
)
def test_colour_operations_agree_with_pillow(name, sign, reference):
    image = np.random.default_rng(1).integers(20, 200, (40, 40, 3), dtype=np.uint8)
    expected = np.asarray(reference(Image.fromarray(image)), np.float32)
    inside = (slice(1, -1), slice(1, -1))  # Pillow does not smooth the outermost pixels
    np.testing.assert_allclose(recoloured(name, image, sign=sign)[inside], expected[inside], atol=1.6)


@pytest.mark.parametrize("name", ["auto_contrast", "equalize"])
def test_an_image_of_one_colour_is_unchanged(name):
    image = np.full((8, 8, 3), 90, np.uint8)
    np.testing.assert_array_equal(recoloured(name, image), image)


@pytest.mark.parametrize("name", GEOMETRY)
def test_geometric_operations_do_not_change_colours(name):
    image = noise(1)[0]
    np.testing.assert_array_equal(recoloured(name, image), image)


def test_randaugment_grows_with_its_magnitude():
    images = np.repeat(smooth_image()[None], 24, axis=0)
    weak, strong = (changed_images(augmentation(randaugment=m), images, seeds(24)) for m in (0.1, 0.9))
    assert np.abs(strong - images).mean() > 1.5 * np.abs(weak - images).mean() > 0


def test_mixup_blends_images_and_labels_in_the_same_share():
    images = np.stack([np.full((4, 4, 3), value, np.float32) for value in (0, 100, 200)])
    mixed, labels = augmentation(mixup=1.0).mix(images, np.eye(3, dtype=np.float32), np.array([3, 4], np.int32))
    shares = labels.numpy()
    np.testing.assert_allclose(mixed[:, 0, 0, 0], shares @ [0, 100, 200], atol=1e-2)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert ((shares > 0).sum(axis=1) == 2).all()


def test_mixup_shares_follow_the_beta_distribution():
    count, alpha = 4000, 0.2
    images, labels = np.zeros((count, 1, 1, 3), np.float32), np.eye(2, dtype=np.float32)[np.arange(count) % 2]
    _, mixed = augmentation(mixup=alpha).mix(images, labels, np.array([0, 0], np.int32))
    share = np.sum(mixed * labels, axis=1)
    assert abs(share.mean() - 0.5) < 0.03
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def test_cutmix_pastes_a_box_whose_area_is_the_label_share():
    images = np.stack([np.full((20, 30, 3), value, np.float32) for value in range(12)])
    labels = np.eye(12, dtype=np.float32)
    mixed, mixed_labels = (part.numpy() for part in augmentation(cutmix=1.0).mix(images, labels, np.array([5, 6])))
    for position in range(12):
        pasted = mixed[position, :, :, 0] == (position - 1) % 12
        assert (pasted | (mixed[position, :, :, 0] == position)).all()
        np.testing.assert_allclose(mixed_labels[position, position - 1], pasted.mean(), atol=1e-5)
        rows, columns = pasted.any(axis=1), pasted.any(axis=0)
        np.testing.assert_array_equal(pasted, rows[:, None] & columns[None])
    np.testing.assert_allclose(mixed_labels.sum(axis=1), 1, atol=1e-5)
    assert len(np.unique(mixed_labels.max(axis=1))) > 6


def test_mixing_depends_on_its_seed_alone():
    images, labels = noise(6), np.eye(6, dtype=np.float32)
    change = augmentation(mixup=0.4, cutmix=1.0)
    first, again, other = (change.mix(images, labels, np.array([1, n], np.int32))[0].numpy() for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("key", "value", "range_in_words"),
    [
        ("zoom", 1.0, "at least 0 and below 1"),
        ("shift", -0.1, "at least 0 and below 1"),
        ("rotation", 181.0, "at least 0 and at most 180"),
        ("shear", 1.5, "at least 0 and at most 1"),
        ("randaugment", float("nan"), "at least 0 and at most 1"),
        ("mixup", -1.0, "at least 0"),
        ("cutmix", float("inf"), "at least 0"),
        ("fill", "wrap", "one of nearest, reflect, constant"),
    ],
)
def test_values_out_of_range_are_refused(key, value, range_in_words):
    config = AugmentationConfig(name="test", **{key: value})
    with pytest.raises(
        HeadstartError, match=rf"^Expected augmentation\.{key} to be {range_in_words}.*Received: {value}$"
    ):
        Augmentation(config)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_option_runs(path):
    text = path.read_text()
    why, command = text.splitlines()[:2]
    assert why.startswith("# ")
    assert command.startswith(f"# python run.py augmentation={path.stem}")
    config = AugmentationConfig(**yaml.safe_load(text))
    assert config.name == path.stem
    change = Augmentation(config)
    images, labels = noise(4), np.eye(4, dtype=np.float32)
    changed = changed_images(change, images, seeds(4))
    assert np.array_equal(changed, images) is not change.changes_images
    _, mixed = change.mix(changed, labels, np.array([0, 1], np.int32))
    assert np.array_equal(mixed, labels) is not change.mixes
    assert change.mixes == (path.stem in ("mixup", "cutmix"))


def test_all_options_are_shipped():
    names = {path.stem for path in SHIPPED}
    assert names == {"none", "flip", "light", "strong", "randaugment", "mixup", "cutmix"}
