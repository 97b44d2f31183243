"""Frames of the BQ76952: viper where the build has it, else the Python twin. KIND tells which."""

from bq_frames_py import BAD, MOVED, OK  # noqa: F401

try:
    from bq_frames_viper import check_frames, load_frames, run_frames

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from bq_frames_py import check_frames, load_frames, run_frames  # noqa: F401

    KIND = "python"
