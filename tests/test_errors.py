"""The error tree is the contract: codes, statuses, pickling."""

import pickle

import pytest

from tuwen import errors
from tuwen.errors import TuwenError, all_errors

PROMISED = {
    "unsupported_type", "converter_missing", "password_required", "wrong_password", "corrupt_file", "limit_exceeded",
    "parser_crashed", "parser_timeout", "page_failed", "index_locked", "not_found", "forbidden", "invalid_request",
    "model_unavailable",
}  # fmt: skip


def test_promised_codes_exist() -> None:
    assert {error.code for error in all_errors()} >= PROMISED


@pytest.mark.parametrize("error", all_errors())
def test_each_is_drawn_in_the_tree(error: type[TuwenError]) -> None:
    tree = errors.__doc__ or ""
    (line,) = [line for line in tree.splitlines() if error.__name__ in line.split()] or [""]
    assert error.__name__ in line
    if len(error.__subclasses__()) == 0:
        assert error.code in line
        assert str(error.http_status) in line
        assert f"exit {error.exit_code}" in line


@pytest.mark.parametrize("error", all_errors())
def test_each_crosses_process_borders(error: type[TuwenError]) -> None:
    copy = pickle.loads(pickle.dumps(error("说清楚怎么办")))
    assert type(copy) is error
    assert copy.problem.message == "说清楚怎么办"
    assert copy.problem.code == error.code
