import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.store.codec import dump, pack, unpack

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=values, dictionary=st.binary(max_size=64))
def test_what_is_packed_is_unpacked_whatever_the_dictionary(
    value: object, dictionary: bytes
) -> None:
    assert unpack(pack(value, dictionary), dictionary) == value


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("-inf")]}])
@pytest.mark.parametrize("dictionary", [b"", b"known"])
def test_a_number_that_is_none_is_refused(value: object, dictionary: bytes) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack(value, dictionary)


@pytest.mark.parametrize("value", ["NaN", {"-Infinity": "Infinity"}, "\ud800"])
def test_words_that_look_like_none_are_kept(value: object) -> None:
    assert unpack(pack(value)) == value


@given(value=values)
def test_a_wrong_dictionary_or_a_cut_is_an_error_and_never_another_value(value: object) -> None:
    packed = pack(value, b"the right one")
    for bytes_, dictionary in ((packed, b"another"), (packed, b""), (packed[:-3], b"")):
        with pytest.raises(ValueError, match="packed record cannot be read"):
            unpack(bytes_, dictionary)


def test_equal_values_are_equal_text() -> None:
    assert dump({"b": 1, "a": [1.5]}) == dump({"a": [1.5], "b": 1}) == '{"a":[1.5],"b":1}'
