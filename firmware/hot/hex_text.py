"""Selector: viper where the build has it, else the Python twin. KIND tells which."""

from hot.hex_text_py import WHOLE  # noqa: F401 - a mark in what gather() returns

try:
    from hot.hex_text_viper import (
        gather, get_bytes, hex_sum, put_bytes, put_hex, put_words, read_hex,
    )

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from hot.hex_text_py import (  # noqa: F401
        gather, get_bytes, hex_sum, put_bytes, put_hex, put_words, read_hex,
    )

    KIND = "python"
