"""What is kept for the next time, by count and by size."""

from __future__ import annotations

from palaver.csml.kept import Kept


def kept_of(kept: Kept[str, int], names: str) -> str:
    """Those of the names that are kept; looks without using."""
    return "".join(name for name in names if name in kept._entries)


def test_the_most_recently_used_are_kept() -> None:
    kept: Kept[str, int] = Kept(2)
    for name in "ab":
        kept.put(name, 1, 1)
    assert kept.get("a") == 1
    kept.put("c", 1, 1)
    assert kept_of(kept, "abc") == "ac"
    assert kept.get("b") is None


def test_they_are_made_from_so_much_text_at_most() -> None:
    kept: Kept[str, int] = Kept(100, most_text=10)
    for name in "abc":
        kept.put(name, 1, 4)
    assert kept_of(kept, "abc") == "bc"
    kept.put("c", 2, 7)
    assert kept_of(kept, "abc") == "c"
    assert kept.get("c") == 2


def test_the_newest_is_kept_whatever_its_size() -> None:
    kept: Kept[str, int] = Kept(100, most_text=10)
    for name in "ab":
        kept.put(name, 1, 50)
    assert kept_of(kept, "ab") == "b"
    kept.clear()
    kept.put("a", 1, 6)
    kept.put("b", 1, 4)
    assert kept_of(kept, "ab") == "ab"
