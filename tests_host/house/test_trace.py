"""Requirements and tests: every id that a test names is one of docs/requirements.csv."""

import trace_requirements


def test_every_id_that_a_test_names_is_a_requirement(capsys):
    assert trace_requirements.main() == 0, capsys.readouterr().err
