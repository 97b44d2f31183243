"""The scheduler's arithmetic: viper where the build has it, else the Python twin."""

try:
    from due_viper import account, first_overdue, pick_due

    KIND = "viper"
except (ImportError, AttributeError, NameError, SyntaxError, ValueError):
    from due_py import account, first_overdue, pick_due  # noqa: F401

    KIND = "python"
