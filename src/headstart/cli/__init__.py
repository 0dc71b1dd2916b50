"""The commands of `headstart`, one thin file each."""
