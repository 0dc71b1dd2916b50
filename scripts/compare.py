"""Is now `headstart compare`."""

from moved import forward

if __name__ == "__main__":
    forward("compare", "outputs/sweeps/NAME")
