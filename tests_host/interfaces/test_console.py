"""The console's line editor: what a terminal shows, what is answered, and what history keeps."""

import unittest

from fakes import Lcg
from protocols.debug.console import Console

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"


class FakeAnswers:
    """Repeats a line as often as it says; notes what it was given."""

    def __init__(self):
        self.lines = []
        self.pieces = 0

    def run(self, line):
        self.lines.append(line)
        yield "\r"
        words = line.split()
        if words[0] == "long":
            for i in range(1000):
                self.pieces += 1
                yield "%d %s\r\n" % (i, "x" * 60)
        elif words[0] == "wide":
            yield "y" * 2000 + "\r\n"
        else:
            yield "<%s>\r\n" % line

    def complete(self, start):
        begun = start.split(" ")[-1]
        words = "status", "stat", "set", "sleep"
        return begun, [word for word in words if word.startswith(begun)]


class Screen:
    """What a plain terminal shows of the bytes that it is sent: its lines."""

    def __init__(self):
        self.lines = [""]
        self.at = 0

    def show(self, data):
        text = data.decode()
        i = 0
        while i < len(text):
            c = text[i]
            i += 1
            if c == "\r":
                self.at = 0
            elif c == "\n":
                self.lines.append("")
            elif c == "\x1b":
                i += 1
                number = ""
                while text[i] in "0123456789":
                    number += text[i]
                    i += 1
                if text[i] == "K":
                    self.lines[-1] = self.lines[-1][:self.at]
                else:
                    self.at -= int(number or "1")
                i += 1
            elif ord(c) >= 32:
                line = self.lines[-1]
                line += " " * (self.at - len(line))
                self.lines[-1] = line[:self.at] + c + line[self.at + 1:]
                self.at += 1


class Case(unittest.TestCase):
    def setUp(self):
        self.answers = FakeAnswers()
        self.us = 0
        self.console = Console(self.answers, self.ticks_us)
        self.screen = Screen()

    def ticks_us(self):
        self.us += 100
        return self.us

    def fetch(self):
        """All that there is to be sent."""
        sent = b""
        for _ in range(3000):
            length = self.console.more()
            if not length:
                return sent
            self.assertTrue(length <= 512)
            sent += bytes(self.console.out[:length])
        self.fail("answers without end")

    def type(self, text):
        """Type, and show what comes back."""
        for byte in text.encode() if isinstance(text, str) else text:
            self.console.take(byte)
        sent = self.fetch()
        self.screen.show(sent)
        return sent


class TestLine(Case):
    def test_a_line_is_echoed_answered_and_prompted(self):      # req: COM-10
        self.assertEqual(self.type("why\r"), b"why\n\r<why>\r\n\rpylon>")
        self.assertEqual(self.answers.lines, ["why"])

    def test_an_empty_line_is_prompted(self):                   # req: COM-10
        for end in ("\r", "\n", "\r\n"):
            self.setUp()
            self.assertEqual(self.type(end), b"\n\rpylon>")

    def test_each_kind_of_line_end_ends_one_line(self):         # req: COM-10
        for end in ("\r", "\n", "\r\n"):
            self.answers.lines = []
            self.type("a" + end + "b" + end)
            self.assertEqual(self.answers.lines, ["a", "b"])

    def test_the_keys_that_edit(self):                          # req: COM-10
        table = (
            ("wyh\b\bhy", "why"), ("wyh\x7f\x7fhy", "why"), ("abc\x15why", "why"),
            ("wy" + LEFT + "h", "why"), ("hy\x01w", "why"), ("hy\x1b[Hw\x1b[F!", "why!"),
            ("xwhy\x01\x1b[3~", "why"), ("set x 3\x17 4", "set x  4"),
            ("whyabc" + 3 * LEFT + "\x0b", "why"),
            ("hy\x1b[1~w\x1b[4~?", "why?"), ("ab" + LEFT + RIGHT + RIGHT + "c", "abc"),
            ("\b\b\x1b[3~a", "a"), ("w\x1b[15~h\x1b[1;5Cy", "why"), ("w\x0e\x02h\x00y", "why"),
        )
        for typed, line in table:
            self.answers.lines = []
            self.type(typed)
            self.assertEqual(self.screen.lines[-1], "pylon>" + line if self.screen.lines[-1].
                             startswith("pylon>") else line, repr(typed))
            self.type("\r")
            self.assertEqual(self.answers.lines, [line], repr(typed))

    def test_ctrl_c_forgets_the_line(self):                     # req: COM-10
        self.type("set x")
        self.assertEqual(self.type("\x03"), b"^C\r\n\rpylon>")
        self.type("why\r")
        self.assertEqual(self.answers.lines, ["why"])

    def test_a_line_that_is_too_long_rings(self):               # req: COM-06 COM-10
        sent = self.type("x" * 300)
        self.assertTrue(sent.endswith(b"\x07"))
        self.type("\r")
        self.assertEqual(self.answers.lines, ["x" * 240])

    def test_degrees_may_be_typed(self):                        # req: COM-10
        self.type("set chg_ot_trip_dc 45\u00b0C\r")
        self.assertEqual(self.answers.lines, ["set chg_ot_trip_dc 45\u00b0C"])

    def test_what_is_no_text_is_said(self):                     # req: COM-06
        for byte in b"a\xff\xc3\r":
            self.console.take(byte)
        sent = self.fetch()
        self.assertTrue(b"no text" in sent and sent.endswith(b"\rpylon>"))
        self.assertEqual(self.answers.lines, [])


class TestHistory(Case):
    def test_arrows_bring_lines_back(self):                     # req: COM-10
        for keys, line in ((UP, "three!"), (UP + UP, "two!"), (3 * UP, "one!"), (9 * UP, "one!"),
                           (3 * UP + DOWN, "two!"), (UP + UP + DOWN + DOWN, "!")):
            self.setUp()
            for before in ("one", "two", "two", "three"):
                self.type(before + "\r")
            self.type(keys + "!\r")
            self.assertEqual(self.answers.lines[-1], line)

    def test_a_line_of_before_can_be_edited(self):              # req: COM-10
        self.type("set a 1\r")
        self.type(UP + "\b2\r")
        self.assertEqual(self.answers.lines[-1], "set a 2")
        self.assertEqual(self.screen.lines[-3], "pylon>set a 2")

    def test_a_pin_is_not_kept(self):                           # req: SAF-11
        self.type("status\r")
        self.type("pin 4711\r")
        self.type(UP + "\r")
        self.assertEqual(self.answers.lines[-1], "status")
        self.assertTrue(b"4711" not in bytes(self.console._history))

    def test_history_is_of_bounded_size(self):                  # req: COM-06
        for i in range(40):
            self.type("line %d %s\r" % (i, "x" * (i * 5 % 200)))
        for _ in range(60):
            self.type(UP)
        self.type("\r")
        self.assertTrue(self.answers.lines[-1].startswith("line "))


class TestAnswers(Case):
    def test_a_long_answer_comes_in_pieces(self):               # req: COM-10
        for byte in b"long\r":
            self.console.take(byte)
        self.console.more()
        self.assertTrue(0 < self.answers.pieces < 20)
        self.assertTrue(self.fetch().endswith(b"\rpylon>"))
        self.assertEqual(self.answers.pieces, 1000)

    def test_a_slow_piece_is_the_last_of_its_step(self):        # req: COM-10
        for byte in b"long\r":
            self.console.take(byte)
        self.console._ticks_us = lambda: self.us
        self.console.more()
        before = self.answers.pieces
        times = iter((0, 5000, 0, 5000))
        self.console._ticks_us = lambda: next(times)
        self.console.more()
        self.assertEqual(self.answers.pieces, before + 1)

    def test_a_piece_longer_than_the_buffer(self):              # req: COM-06
        self.assertEqual(self.type("wide\r"), b"wide\n\r" + b"y" * 2000 + b"\r\n\rpylon>")

    def test_ctrl_c_stops_an_answer(self):                      # req: COM-10
        for byte in b"long\r":
            self.console.take(byte)
        self.console.more()
        self.console.take(3)
        self.assertTrue(self.fetch().endswith(b"^C\r\n\rpylon>"))
        self.assertTrue(self.answers.pieces < 20)
        self.type("why\r")
        self.assertEqual(self.answers.lines[-1], "why")

    def test_a_word_acts_before_ctrl_c_behind_it_stops_its_answer(self):    # req: SAF-10
        for byte in b"\rprompt\r\r\x03":      # as `make flash` and mpremote send it, at one go
            self.console.take(byte)
        self.assertEqual(self.answers.lines, ["prompt"])

    def test_what_is_typed_meanwhile_comes_after_it(self):      # req: COM-10
        self.type("long\rone\rtwo\rthr")
        self.type("ee\r")
        self.assertEqual(self.answers.lines, ["long", "one", "two", "three"])

    def test_a_restart_gives_the_answer_up(self):               # req: SAF-03
        for byte in b"long\r":
            self.console.take(byte)
        self.console.restart()
        self.assertEqual(self.fetch(), b"\rpylon>")
        self.type("why\r")
        self.assertEqual(self.answers.lines[-1], "why")

    def test_tab_completes(self):                               # req: COM-10
        self.type("sl\t\r")
        self.type("s\t")
        self.assertTrue("stat" in self.screen.lines[-2] and "sleep" in self.screen.lines[-2])
        self.assertEqual(self.screen.lines[-1], "pylon>s")
        self.type("ta\tus\r")
        self.assertEqual(self.answers.lines, ["sleep ", "status"])
        self.assertEqual(self.type("\x15zz\t")[-1:], b"\x07")

    def test_any_bytes_and_then_a_question(self):               # req: COM-06
        rng = Lcg(7)
        keys = (b"\x1b[A", b"\x1b[B", b"\x1b[D", b"\x1b[3~", b"\t", b"\r", b"\x15", b"st", b"pin ")
        for _ in range(300):
            for _ in range(rng.below(30)):
                piece = rng.pick(keys) if rng.below(2) else bytes((rng.below(256),))
                for byte in piece:
                    self.console.take(byte)
                if rng.below(3) == 0:
                    self.console.more()
            self.fetch()
            self.console.take(3)
            self.fetch()
            for byte in b"why\r":
                self.console.take(byte)
            self.assertEqual(self.fetch(), b"why\n\r<why>\r\n\rpylon>")


if __name__ == "__main__":
    unittest.main()
