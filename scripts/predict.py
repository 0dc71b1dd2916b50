"""Is now `headstart predict`."""

from moved import forward

if __name__ == "__main__":
    forward("predict", "latest photo.jpg")
