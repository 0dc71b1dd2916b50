"""Is now `headstart sync`."""

from moved import forward

if __name__ == "__main__":
    forward("sync", "outputs/runs/DATE_TIME")
