"""Selector (PRO-26): viper where the build has it, else the Python twin. KIND tells which."""

try:
    from hot.protect_viper import protect_step

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from hot.protect_py import protect_step  # noqa: F401

    KIND = "python"
