from datetime import UTC, datetime, timedelta, timezone

from authapp import clock


def test_the_clock_is_aware_and_in_utc() -> None:
    now = clock.now()

    assert now.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - now) < timedelta(seconds=5)


def test_a_moment_is_written_in_utc_to_the_millisecond_with_a_z() -> None:
    nepal = timezone(timedelta(hours=5, minutes=45))

    assert clock.rfc3339(datetime(2024, 2, 29, 5, 45, 1, 999_999, tzinfo=nepal)) == "2024-02-29T00:00:01.999Z"
    assert clock.rfc3339(datetime(2024, 2, 29, tzinfo=UTC)) == "2024-02-29T00:00:00.000Z"


def test_no_moment_is_written_as_nothing() -> None:
    assert clock.rfc3339(None) is None
