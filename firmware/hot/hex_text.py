"""Selector: viper where the build has it, else the Python twin. KIND tells which."""

try:
    from hot.hex_text_viper import hex_sum, put_bytes, put_hex, read_hex

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from hot.hex_text_py import hex_sum, put_bytes, put_hex, read_hex  # noqa: F401

    KIND = "python"
