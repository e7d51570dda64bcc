"""Labels become codes, and slips of the pen do not become classes."""

import numpy as np
import pytest

from vireo.data.sources.codes import digest_integers, encode_labels, whole_numbers
from vireo.errors import DataError


def where(row):
    return f"row {row}"


def test_names_are_coded_in_sorted_order():
    codes, names = encode_labels(["dog", "cat", "dog ", "ant"], (), where)
    assert names == ("ant", "cat", "dog")
    assert codes.tolist() == [2, 1, 2, 0]


def test_numbers_stay_and_listed_names_rule():
    assert encode_labels(["7", "0"], (), where)[0].tolist() == [7, 0]
    assert encode_labels([1, 0], ("a", "b"), where)[0].tolist() == [1, 0]
    codes, names = encode_labels(["b", "a"], ("b", "a", "c"), where)
    assert codes.tolist() == [0, 1]
    assert names == ("b", "a", "c")
    assert encode_labels(["737", "A380"], ("A380", "737"), where)[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "names", "message"),
    [
        (["1", "l0", "2"], (), "row 0 is '1' but row 1 is 'l0'.*'class_names'"),
        (["cat", ""], (), "row 1 is blank"),
        (["cat", "dgo"], ("cat", "dog"), "row 1.*Did you mean 'dog'"),
        (["0", "-1"], (), "row 1 is -1: a class code must be not negative"),
        ([0, 3], ("a", "b", "c"), "row 1 is 3: .*below 3"),
    ],
)
def test_what_is_no_label_is_named(values, names, message):
    with pytest.raises(DataError, match=message):
        encode_labels(values, names, where)


def test_counts_are_whole_numbers():
    assert whole_numbers(["3", " 0"], where).tolist() == [3, 0]
    for bad in ("3.5", "1O", "", "nan", "٣"):
        with pytest.raises(DataError, match=f"row 1 is '{bad}', but must be a whole number"):
            whole_numbers(["1", bad], where)


def test_the_digest_of_integers_is_of_their_values():
    assert digest_integers(np.array([1, 2])) != digest_integers(np.array([2, 1]))
    big_endian = np.array([1, 2], dtype=">i8")
    assert digest_integers(big_endian.astype(np.int64)) == digest_integers(np.array([1, 2]))
