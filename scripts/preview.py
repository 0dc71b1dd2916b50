"""Is now `headstart preview`."""

from moved import forward

if __name__ == "__main__":
    forward("preview", "augmentation=strong")
