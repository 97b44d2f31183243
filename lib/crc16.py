"""CRC-16/CCITT-FALSE and CRC-16/MODBUS: viper where the build has it, else the Python twin."""

try:
    from crc16_viper import crc16, crc16_modbus

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from crc16_py import crc16, crc16_modbus  # noqa: F401

    KIND = "python"
