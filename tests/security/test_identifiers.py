from authapp.security import identifiers


def test_time_ordered_identifiers_ascend() -> None:
    made = [identifiers.time_ordered() for _ in range(1000)]

    assert {identifier.version for identifier in made} == {7}
    assert made == sorted(set(made))


def test_unguessable_identifiers_tell_nothing_of_their_time() -> None:
    made = [identifiers.unguessable() for _ in range(1000)]

    assert {identifier.version for identifier in made} == {4}
    assert len(set(made)) == 1000
    assert made != sorted(made)
