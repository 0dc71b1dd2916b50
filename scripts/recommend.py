"""Is now `headstart recommend`."""

from moved import forward

if __name__ == "__main__":
    forward("recommend", "FOLDER")
