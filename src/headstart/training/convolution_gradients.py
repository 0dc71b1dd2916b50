"""Gradients of convolutions that a processor computes several times faster than TensorFlow's own.

On a CPU `Conv2DBackpropInput` takes several times as long as the convolution that it belongs to, most of all on the
small feature maps of a network's last blocks, which fine-tuning trains. The same gradient is a convolution of the
output's gradient with the kernel turned by 180 degrees and its channels exchanged (Dumoulin and Visin, 2016,
https://arxiv.org/abs/1603.07285, chapter 4), which TensorFlow computes as fast as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import keras
import tensorflow as tf


def speed_up_convolution_gradients(layers: Iterable[keras.layers.Layer]) -> None:
    """Let layers compute the gradient of their input as a convolution; forward passes do not change.

    Layers of other kinds, and convolutions with strides, dilation, groups or even kernels, stay as they are, and so
    does everything where there is a GPU.

    Args:
        layers: of a network; what they are saved as does not change.
    """
    if tf.config.list_logical_devices("GPU"):
        return
    for layer in layers:
        if has_faster_gradient(layer):
            layer.convolution_op = partial(convolve, padding=layer.padding.upper())


def has_faster_gradient(layer: keras.layers.Layer) -> bool:
    """Return whether the gradient of a layer's input is a convolution of the same size."""
    if type(layer) is not keras.layers.Conv2D or layer.data_format != "channels_last":
        return False
    plain = layer.groups == 1 and set(layer.strides) == set(layer.dilation_rate) == {1}
    pointwise = set(layer.kernel_size) == {1}
    return plain and (pointwise or (layer.padding == "same" and all(size % 2 for size in layer.kernel_size)))


def convolve(images: tf.Tensor, kernel: keras.Variable | tf.Tensor, padding: str) -> tf.Tensor:
    """Convolve with stride 1, and with a gradient that is a convolution as well.

    Args:
        images: feature maps, batch x height x width x channels.
        kernel: height x width x channels x filters, of odd height and width.
        padding: `SAME`; or `VALID` with a kernel of 1 x 1.

    Returns:
        Feature maps, batch x height x width x filters.
    """

    @tf.custom_gradient
    def convolution(
        images: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            turned = tf.transpose(tf.reverse(kernel, axis=[0, 1]), [0, 1, 3, 2])
            of_images = tf.nn.conv2d(upstream, turned, strides=1, padding=padding)
            of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=images,
                filter_sizes=tf.shape(kernel),
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding=padding,
            )
            return of_images, of_kernel

        return tf.nn.conv2d(images, kernel, strides=1, padding=padding), gradients

    # Keras casts to the precision of the layer; TensorFlow then reads the variable, of which a gradient knows nothing.
    return convolution(images, tf.convert_to_tensor(keras.ops.convert_to_tensor(kernel)))
