import pytest

from authapp.domain.passwords.checks import COMMON_PASSWORDS, NewPassword, password_checks

GOOD = "correct horse battery staple"


def objections(password: str, username: str = "grace", email: str = "hopper@example.com") -> list[str]:
    wanted = NewPassword(password, username, email)
    return [objection for _, check in password_checks.items() for objection in check(wanted)]


def objected(password: str, reason: str, username: str = "grace", email: str = "hopper@example.com") -> None:
    found = objections(password, username, email)
    assert len(found) == 1, found
    assert reason in found[0]


def of_length(length: int, character: str = "") -> str:
    return character * length or ("zyxwvutsrqponmlkjihgfedcba" * 5)[:length]


@pytest.mark.parametrize("character", ["", "\u00e9", "\U0001f600", "\u4e2d"])
def test_the_length_is_from_8_to_128_code_points(character: str) -> None:
    objected(of_length(7, character), "fewer than 8")
    assert objections(of_length(8, character)) == []
    assert objections(of_length(128, character)) == []
    objected(of_length(129, character), "more than 128")


def test_code_points_are_counted_not_what_is_seen() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # one picture, seven code points

    objected(family, "fewer than 8")
    assert objections(family + "!") == []
    assert objections("e\u0301" * 4) == []


@pytest.mark.parametrize(
    "password",
    [
        "lettersonlyarefine",
        "UPPERCASEISFINETOO",
        "84729105638",
        "!@%^&*()!@%^&*()",
        GOOD,
        "\u043f\u0430\u0440\u043e\u043b\u044c\u0438\u0449\u0435",
    ],
)
def test_no_mix_of_kinds_is_asked_for(password: str) -> None:
    assert objections(password) == []


def test_spaces_count_wherever_they_stand() -> None:
    assert objections("        ") == []
    assert objections("  zxqv  ") == []
    assert objections("zxqv    ") == []
    objected(" zxqv  ", "fewer than 8")


@pytest.mark.parametrize("password", ["password", "12345678", "iloveyou", "qwertyuiop", "trustno1"])
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase])
def test_a_common_password_is_refused_in_any_case(password: str, change: type[str]) -> None:
    objected(change(password), "common")


def test_common_means_thousands_and_not_every_word_in_a_sentence() -> None:
    assert len([password for password in COMMON_PASSWORDS if len(password) >= 8]) > 3000
    assert objections("my password is longer") == []
    assert objections(" password ") == []


@pytest.mark.parametrize("password", ["graceful days", "dis-GRACE-ful", "GrAcE1234", "12345grace"])
def test_a_password_with_the_username_in_it_is_refused(password: str) -> None:
    objected(password, "username")


@pytest.mark.parametrize("password", ["grasshopper-1906", "HOPPER-1906", "my hOpPeR!"])
def test_a_password_with_the_name_of_the_email_in_it_is_refused(password: str) -> None:
    objected(password, "email")


def test_names_are_found_in_any_case() -> None:
    objected("my grace note", "username", username="GRACE")
    objected("my hopper car", "email", email="HOPPER@example.com")
    objected("STRASSENBAHN", "email", email="stra\u00dfe@example.com".replace("e@", "@"))


def test_the_domain_of_the_email_is_not_looked_for() -> None:
    assert objections("example.com rocks") == []


def test_the_last_at_sign_ends_the_name_of_the_email() -> None:
    objected('xx"a@b"xxxx', "email", email='"a@b"@example.com')


@pytest.mark.parametrize("name", ["", "a", "ab"])
def test_a_name_of_one_or_two_characters_is_not_looked_for(name: str) -> None:
    assert objections("abababab xyz", username=name, email=f"{name}@example.com") == []


def test_a_name_of_three_characters_is_looked_for() -> None:
    objected("xxabcxxxx", "username", username="abc")
    objected("xxabcxxxx", "email", email="abc@example.com")


def test_a_nul_is_refused() -> None:
    objected("zxqvwkjp\0", "NUL")
    objected("\0" * 8, "NUL")


def test_every_objection_is_raised_and_none_shows_the_password() -> None:
    found = objections("grace\0", username="grace", email="grace@example.com")

    assert len(found) == 4
    assert all(sentence.endswith(".") and "grace" not in sentence for sentence in found)


@pytest.mark.parametrize(
    "password",
    ["00000000", "88888888", "87654321", "987654321", "123123123", "aaaaaaaa", "abcdefgh", "p@ssword", "PASSWORD1"],
)
def test_repeats_and_sequences_are_as_common_as_words(password: str) -> None:
    assert objections(password, "grace", "hopper@example.com") == ["It is one of the most common passwords."]
