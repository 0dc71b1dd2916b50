"""Is now `headstart audit`."""

from moved import forward

if __name__ == "__main__":
    forward("audit", "FOLDER")
