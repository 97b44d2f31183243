"""Checks the file of a profile and says what is wrong and what would be right (PRF-03).

    make profile FILE=firmware/profiles/lfp_8s_280.json

FILE is a data file (.json, docs/profiles.md) or a module as those of firmware/profiles/. The
checks are the firmware's own.
"""

import importlib.util
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import rooms  # noqa: E402

rooms.use(rooms.ROOT / "firmware", rooms.ROOT / "lib", rooms.MOCKS)

from bms.host import product_data, products  # noqa: E402
from bms.words.parameters import shunt_of  # noqa: E402

_SHOWN = ("pack_ov_trip_mv", "pack_uv_trip_mv", "cvl_mv", "dvl_mv", "nominal_ma", "boost_ma",
          "chg_oc_trip_ma", "dsg_oc1_trip_ma", "dsg_oc2_trip_ma", "tail_ma")


class ProfileError(Exception):
    """What is wrong with a file."""


def load(path):
    """(profile, its Parameters) of the file *path*; ProfileError."""
    path = pathlib.Path(path)
    if path.suffix not in (".json", ".py"):
        raise ProfileError(f"{path.name}: a profile ends with .json or .py")
    if not path.is_file():
        raise ProfileError(f"{path}: there is no such file")
    try:
        if path.suffix == ".json":
            text = path.read_text("utf-8")
            if len(text.encode()) > product_data.LONGEST:
                raise ValueError(f"{len(text.encode())} bytes; it must have at most "
                                 f"{product_data.LONGEST}")
            profile = product_data.read(text)
        else:
            spec = importlib.util.spec_from_file_location(path.stem, path)
            profile = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(profile)
        for name in ("NAME", "CELLS", "CAPACITY_MAH", "PANEL", "DEFAULTS"):
            if not hasattr(profile, name):
                raise ValueError(f"{name} is missing; docs/profiles.md has a template")
        return profile, products.check(profile)
    except (ValueError, SyntaxError, UnicodeError) as error:
        raise ProfileError(f"{path.name}: {error}") from None


def check(path):
    """Lines that tell what the file *path* is; ProfileError says what is wrong with it."""
    path = pathlib.Path(path)
    profile, params = load(path)
    own = products.module_name(profile.NAME)
    if own != path.stem:
        raise ProfileError(f"{path.name}: name is {profile.NAME}; its file must be called "
                           f"{own}{path.suffix}")
    lines = [f"{profile.NAME}: {profile.CELLS} cells of {profile.CAPACITY_MAH / 1000:g} Ah, "
             f"{profile.CELLS * 3.2:.1f} V, at most {params.most_ma / 1000:g} A, "
             f"shunt {shunt_of(profile) or 250} uOhm, {params.ceilings['name']}"]
    lines += [f"  {name} = {params[name]}" for name in _SHOWN]
    lines += [f"  derating: {reason}" for _, _, _, reason in profile.CURVES]
    return lines + ["good"]


def main(arguments):
    if len(arguments) != 1 or not arguments[0]:
        print("make profile FILE=path of a profile", file=sys.stderr)
        return 2
    try:
        print("\n".join(check(arguments[0])))
    except ProfileError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
