"""The one place with the version."""

VERSION = "0.1.0"
