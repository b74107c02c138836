from hypothesis import given
from hypothesis import strategies as st

from hashtagger.posts.hashtable import HashTable

KEYS = st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20)


@given(st.lists(st.tuples(KEYS, st.integers(1, 65535)), max_size=50), KEYS)
def test_it_is_a_dict_of_numbers(pairs, other):
    table, known = HashTable(), dict(pairs)
    for key, number in pairs:
        table[key] = number
    assert {key: table[key] for key in known} == known
    assert table[other] == known.get(other, 0)


def test_it_grows():
    table = HashTable()
    for number in range(5000):
        table[hash(str(number))] = number % 60000 + 1
    assert all(table[hash(str(number))] == number % 60000 + 1 for number in range(5000))
    assert table[hash("other")] == 0
