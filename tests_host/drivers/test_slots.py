"""A record in two copies: whatever happens to one write, a whole record is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slots import FlashFiles, Slots

pytestmark = pytest.mark.req("PAR-02")
records = st.binary(max_size=40)


class Files(dict):
    """Files in memory. torn: None | bytes that the next write gets through before power fails."""

    torn = None

    def read(self, name):
        return self.get(name)

    def write(self, name, data):
        if self.torn is None:
            self[name] = bytes(data)
            return
        self[name] = bytes(data[:self.torn])
        raise PowerFailed


class PowerFailed(Exception):
    pass


def boot(files):
    slots = Slots(files, "set")
    return slots, slots.load()


def test_nothing_there_is_none():
    assert boot(Files())[1] is None


@settings(deadline=None)
@given(st.lists(records, min_size=1, max_size=12), st.data())
def test_the_newest_record_is_read_back(written, data):
    files = Files()
    slots, _ = boot(files)
    for record in written:
        if data.draw(st.booleans()):
            slots, _ = boot(files)
        slots.save(record)
        assert boot(files)[1] == record


@given(st.lists(records, min_size=1, max_size=6), st.booleans())
def test_saving_needs_no_load_before(written, load_first):
    files = Files()
    for record in written:
        slots = Slots(files, "set")
        if load_first:
            slots.load()
        slots.save(record)
        assert boot(files)[1] == record


@given(st.lists(st.tuples(records, st.none() | st.integers(0, 60)), max_size=12))
def test_a_torn_write_leaves_the_older_record(steps):
    files = Files()
    slots, kept = boot(files)
    for record, torn in steps:
        files.torn = torn
        try:
            slots.save(record)
        except PowerFailed:
            slots, found = boot(files)
            # all that was written may be there when power failed just after the last byte
            assert found in (kept, record) if torn >= len(record) + 8 else found == kept
            kept = found
            files.torn = None
        else:
            kept = record
            assert boot(files)[1] == kept


@given(st.lists(records, min_size=2, max_size=5), st.data())
@settings(max_examples=300)
def test_one_changed_byte_never_gives_a_wrong_record(written, data):
    files = Files()
    slots, _ = boot(files)
    for record in written:
        slots.save(record)
    name = data.draw(st.sampled_from(sorted(files)))
    raw = bytearray(files[name])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    files[name] = bytes(raw)
    assert boot(files)[1] in (written[-1], written[-2])


@given(st.lists(records, min_size=2, max_size=5), st.data())
def test_a_copy_cut_short_or_lengthened_is_not_read(written, data):
    files = Files()
    slots, _ = boot(files)
    for record in written:
        slots.save(record)
    name = data.draw(st.sampled_from(sorted(files)))
    if data.draw(st.booleans()):
        files[name] = files[name][:data.draw(st.integers(0, len(files[name]) - 1))]
    else:
        files[name] += data.draw(st.binary(min_size=1, max_size=9))
    assert boot(files)[1] in (written[-1], written[-2])


@given(st.binary(max_size=80), st.binary(max_size=80))
@settings(max_examples=300)
def test_garbage_is_no_record(first, second):
    files = Files({"set.a": first, "set.b": second})
    slots, found = boot(files)
    assert found is None
    slots.save(b"new")
    assert boot(files)[1] == b"new"


def test_after_both_copies_are_lost_it_goes_on():
    files = Files()
    slots, _ = boot(files)
    for record in (b"one", b"two"):
        slots.save(record)
    for name in files:
        files[name] = b""
    slots, found = boot(files)
    assert found is None
    slots.save(b"three")
    assert boot(files)[1] == b"three"


def test_two_copies_are_written_in_turn():
    files = Files()
    slots, _ = boot(files)
    seen = []
    for record in (b"one", b"two", b"three", b"four"):
        before = dict(files)
        slots.save(record)
        seen += [name for name in files if files[name] != before.get(name)]
    assert seen == ["set.a", "set.b", "set.a", "set.b"]


def test_names_do_not_share_copies():
    files = Files()
    first, second = Slots(files, "one"), Slots(files, "two")
    first.load(), second.load()
    first.save(b"1")
    second.save(b"2")
    assert (Slots(files, "one").load(), Slots(files, "two").load()) == (b"1", b"2")


def test_an_empty_record_is_a_record():
    files = Files()
    slots, _ = boot(files)
    slots.save(b"")
    assert boot(files)[1] == b""


def test_files_on_the_board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = FlashFiles()
    assert files.read("set.a") is None
    slots = Slots(files, "set")
    assert slots.load() is None
    slots.save(b"kept")
    assert Slots(FlashFiles(), "set").load() == b"kept"
    slots.save(b"kept longer")
    slots.save(b"k")
    assert Slots(FlashFiles(), "set").load() == b"k"
