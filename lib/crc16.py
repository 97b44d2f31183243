"""CRC-16/CCITT-FALSE: viper where the build has it, else the Python twin."""

try:
    from crc16_viper import crc16

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from crc16_py import crc16  # noqa: F401

    KIND = "python"
