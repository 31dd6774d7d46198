"""The folder for what is fetched or put there by hand: the user's data folder, or where a variable says."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

HOME_VARIABLE = "GLIDE_EDIT_HOME"
"""Names the folder, in place of the user's data folder."""


def home_folder() -> Path:
    """It need not exist."""
    home = os.environ.get(HOME_VARIABLE) or platformdirs.user_data_dir("glide-edit", appauthor=False)
    return Path(home).expanduser()
