"""Is now `headstart export`."""

from moved import forward

if __name__ == "__main__":
    forward("export", "latest --format onnx")
