"""Selector: viper where the build has it, else the Python twin. KIND tells which."""

try:
    from hot.scan_values_viper import decode_scan

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from hot.scan_values_py import decode_scan  # noqa: F401

    KIND = "python"
