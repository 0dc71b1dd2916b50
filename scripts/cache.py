"""Is now `headstart cache`."""

from moved import forward

if __name__ == "__main__":
    forward("cache", "list")
