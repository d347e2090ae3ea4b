import inspect
import re

import pytest

from aurora import reasons

ALL = [
    pytest.param(reason, id=f"{kind.__name__}.{reason}")
    for _, kind in inspect.getmembers(reasons, inspect.isclass)
    if issubclass(kind, reasons._Reason)
    for reason in kind
]


@pytest.mark.parametrize("reason", ALL)
def test_a_reason_is_one_camel_case_word_with_a_sentence(reason):
    assert re.fullmatch("[A-Z][A-Za-z0-9]{2,62}", reason)
    assert re.fullmatch(r"[A-Z].*\.", reason.sentence)
