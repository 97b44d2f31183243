"""packctl update, update-key and pkg as a user types them, against a simulated pack (SAF-06)."""

import stat

import pytest

from packctl import package
from packctl.cli.app import app_commands  # noqa: F401 - the commands are those of the program
from rig import Rig
from test_packctl import run
from test_scenarios_update import DISTANCE, file_of

pytestmark = [pytest.mark.host, pytest.mark.req("SAF-06", "HST-02")]


@pytest.fixture(scope="module")
def port():
    """The debug port of a simulated pack that plays."""
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55}, spread=0)
        rig.run(8_000)
        rig.play(5)
        yield opened["ports"]["debug"]


@pytest.fixture
def file(tmp_path):
    made = file_of(pages=20)
    path = tmp_path / made.name
    path.write_bytes(made.to_bytes())
    return path


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    pytest.importorskip("cryptography")
    path = tmp_path_factory.mktemp("key") / "owner.pem"
    made = run(None, "pkg", "key", str(path))
    assert made.code == 0 and "keep it secret" in made.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path, made.out.strip()


def test_info_shows_what_a_file_holds(file):
    said = run(None, "pkg", "info", str(file)).out
    assert "board           sim" in said and "version         0.2.0" in said
    about = run(None, "pkg", "info", str(file), "--json").json
    assert about["pages"] == 20 and about["signature"] is None
    assert about["slots_apart"] == DISTANCE and about["words_moved"] > 100


def test_a_signature_is_told_by_its_key(file, owner):
    path, public = owner
    assert public in run(None, "pkg", "sign", str(file), "--key", str(path)).out
    assert run(None, "pkg", "info", str(file), "--key", public, "--json").json["signed_with_key"]
    other = run(None, "pkg", "info", str(file), "--key", "00" * 32, "--json").json
    assert other["signed_with_key"] is False


@pytest.mark.parametrize("spoil, code, words", [
    (lambda data: b"something else", 26, "no update file"),
    (lambda data: data[:-700], 27, "damaged or was cut off"),
    (lambda data: data[:900] + bytes((data[900] ^ 1,)) + data[901:], 27, "damaged"),
])
def test_a_bad_file_is_told_in_one_sentence(file, port, spoil, code, words):
    file.write_bytes(spoil(file.read_bytes()))
    for command in (("pkg", "info"), ("update",)):
        said = run(port, *command, str(file))
        assert said.code == code and words in said.err and said.err.count("\n") == 1


def test_a_key_that_is_none(file, owner, port):
    assert run(None, "pkg", "sign", str(file), "--key", str(file)).code == 28
    assert run(None, "pkg", "key", str(owner[0])).code == 28        # never over an old one
    assert run(port, "update-key", "1234").code == 28


@pytest.mark.parametrize("board, version, code, words", [
    ("OTHER", "0.2.0", 31, "for the board OTHER"),
    ("sim", "0.0.1", 32, "--older installs it"),
])
def test_what_the_pack_refuses_has_its_own_exit_code(tmp_path, port, board, version, code, words):
    image = bytes(5120)
    made = package.make(image, image, board=board, version=version, distance=DISTANCE)
    path = tmp_path / made.name
    path.write_bytes(made.to_bytes())
    said = run(port, "update", str(path))
    assert said.code == code and words in said.err and said.err.count("\n") == 1


def test_nothing_to_go_back_to(port):
    said = run(port, "update", "--rollback")
    assert said.code == 30 and "The pack does not take the update" in said.err


def test_a_file_or_rollback_but_not_both(file, port):
    assert run(port, "update").code == 2
    assert run(port, "update", str(file), "--rollback").code == 2


def test_an_update_with_a_key_set_from_the_first_to_the_last_word(file, owner, port):
    path, public = owner
    assert "no key is set" in run(port, "update-key").out
    assert public in run(port, "update-key", str(path)).out
    said = run(port, "update", str(file))
    assert said.code == 33 and "no signature" in said.err
    run(None, "pkg", "sign", str(file), "--key", str(path))
    said = run(port, "update", str(file), "--wait", "0", "--json")
    assert said.code == 0, said.err
    assert said.json["slot"] == "B"


@pytest.mark.req("HST-02")
def test_a_new_firmware_proves_itself_and_the_old_one_comes_back_when_it_is_wanted(file):
    with Rig() as rig:
        opened = rig.open("host", plant={"soc": 0.55}, spread=0)
        rig.run(8_000)
        rig.play(20)
        port = opened["ports"]["debug"]
        said = run(port, "update", str(file))
        assert said.code == 0 and "in slot B, which has proven itself" in said.out, said.err
        said = run(port, "update", "--rollback")
        assert said.code == 0 and "in slot A, which has proven itself" in said.out, said.err
        rig.pause()
        items = [e["item"] for e in rig.events()["events"] if e["event"] == "update"]
        assert items == [0, 1, 2, 5, 3, 5]
