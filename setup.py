"""Packs `conf/`, the one source of the configuration, into the wheel as `headstart/conf`; the rest: pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfiguration(build_py):
    """Build the packages, then copy the configuration into them."""

    def run(self) -> None:
        """Copy `conf/` beside the modules, unless the install is editable and reads the clone."""
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib, "headstart", "conf"), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfiguration})
