"""Which task is due: viper where the build has it, else the Python twin."""

try:
    from due_viper import next_due, pick_due

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from due_py import next_due, pick_due  # noqa: F401

    KIND = "python"
