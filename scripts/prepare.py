"""Is now `headstart prepare`."""

from moved import forward

if __name__ == "__main__":
    forward("prepare", "split PHOTOS SPLIT")
