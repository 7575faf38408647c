"""The line of those who wait for a client: places, processes, time. Pure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from palaver.storage.sql.tickets import PLACES, TICKET_US, Line, line_from_stored

ONE, TWO, NOW = b"1" * 16, b"2" * 16, 1_000_000_000_000


def line_of(owners: str, now_us: int = NOW) -> Line:
    """`"112"`: two tickets of one process, then one of another."""
    return Line(tuple((owner.encode() * 16, now_us + TICKET_US) for owner in owners))


def owners_of(line: Line) -> str:
    return "".join(owner[:1].decode() for owner, _ in line.tickets)


def test_further_requests_come_behind_those_of_others() -> None:
    line = Line().joined(ONE, NOW, 2).joined(TWO, NOW, 1).joined(ONE, NOW, 4).joined(TWO, NOW, 2)
    assert owners_of(line) == "1121" + "1" + "2"
    assert (line.is_behind(ONE), line.is_behind(TWO)) == (False, True)
    assert owners_of(line.left(ONE)) == "12112"
    assert owners_of(line.left(TWO)) == "11112"


def test_the_last_tickets_go_when_requests_do() -> None:
    assert owners_of(line_of("12112").joined(ONE, NOW, 1)) == "122"
    assert owners_of(line_of("12112").joined(ONE, NOW, 0)) == "22"
    assert line_of("22").left(ONE) == line_of("22")


def test_one_process_cannot_fill_the_row() -> None:
    line = line_of("2").joined(ONE, NOW, 10_000)
    assert owners_of(line) == "2" + "1" * PLACES
    assert line.joined(ONE, NOW, 20_000) is line


def test_tickets_are_renewed_all_at_once_and_not_too_often() -> None:
    line = line_of("121")
    assert line.joined(ONE, NOW + TICKET_US // 3, 2) is line
    later = NOW + TICKET_US * 2 // 3
    renewed = line.joined(ONE, later, 2)
    assert [until for _, until in renewed.tickets] == [
        later + TICKET_US, NOW + TICKET_US, later + TICKET_US
    ]  # fmt: skip
    stored = renewed.stored()
    assert stored is not None
    assert owners_of(line_from_stored(stored, NOW + TICKET_US)) == "11", "the other one died"


def test_tickets_from_before_the_clock_was_set_back_do_not_count() -> None:
    stored = line_of("12", NOW + 10 * TICKET_US).stored()
    assert stored is not None
    assert line_from_stored(stored, NOW) == Line()


@given(
    st.text("12", max_size=12), st.sampled_from([ONE, TWO]), st.integers(0, 12), st.integers(0, 2)
)
def test_places_are_never_changed_for_others(
    owners: str, owner: bytes, count: int, thirds: int
) -> None:
    """And a stored line is read as it was."""
    before = line_of(owners)
    line = before.joined(owner, NOW + thirds * TICKET_US // 3, count)
    mine = owner[:1].decode()
    expected = ""
    for each in owners:
        if each != mine or expected.count(mine) < count:
            expected += each
    assert owners_of(line) == expected + mine * (count - expected.count(mine))
    stored = line.stored()
    assert (line_from_stored(stored, NOW) if stored else Line()) == Line(
        tuple(t for t in line.tickets if t[1] <= NOW + TICKET_US)
    )
