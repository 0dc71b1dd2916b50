"""Is now `headstart demo`."""

from moved import forward

if __name__ == "__main__":
    forward("demo", "latest")
