"""The pretrained networks: registry, builders, blocks and weights."""
