"""`micropython` for the models: under it their busiest functions are native code.

The decorator has to be spelt micropython.native; CPython leaves such a function as it is.
"""

try:
    import micropython
except ImportError:

    class micropython:          # noqa: N801
        @staticmethod
        def native(function):
            return function
