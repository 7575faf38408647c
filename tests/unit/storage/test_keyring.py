"""Encryption at rest: what is sealed is opened by its key and by no other, and plain stays plain."""

from __future__ import annotations

import pytest

from palaver.errors import ConfigError, KeyMissing, StorageError
from palaver.storage import keyring
from palaver.storage.cipher import SEALED, SEALED_TEXT, PlainCipher
from palaver.storage.keyring import KeyRingCipher, derive_key

OLD, NEW = "an old secret of some length", "a new secret of some length"
BODIES = [b"", b"{}", b'{"text":"hello"}', b"\0", b"\0P", b"x" * 100_000]
TEXTS = ["", "null", '"hello"', "é🍕", "\ud800", SEALED_TEXT, SEALED_TEXT + "=$", "$palaver"]


@pytest.fixture(scope="module")
def cipher() -> KeyRingCipher:
    return KeyRingCipher([OLD])


@pytest.mark.parametrize("body", BODIES)
def test_a_body_comes_back_and_is_not_in_what_is_stored(cipher: KeyRingCipher, body: bytes) -> None:
    stored = cipher.seal(body)
    assert cipher.unseal(stored) == body
    assert stored.startswith(SEALED)
    assert len(body) < 3 or body not in stored


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(cipher: KeyRingCipher, text: str) -> None:
    assert cipher.unseal_text(cipher.seal_text(text)) == text


def test_equal_bodies_are_stored_differently(cipher: KeyRingCipher) -> None:
    assert cipher.seal(b"{}") != cipher.seal(b"{}")


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_stored_plain_stays_readable(cipher: KeyRingCipher, text: str) -> None:
    stored = PlainCipher().seal_text(text)
    assert PlainCipher().unseal_text(stored) == text
    assert cipher.unseal_text(stored) == text


def test_a_digest_finds_equal_bodies_under_one_key_and_tells_nobody_else() -> None:
    cipher, same = KeyRingCipher([OLD]), KeyRingCipher([OLD, NEW])
    assert cipher.digest(b"body") == same.digest(b"body") != cipher.digest(b"another")
    others = {c.digest(b"body") for c in (KeyRingCipher([NEW]), KeyRingCipher([NEW, OLD]))}
    assert len(others) == 1
    assert others.isdisjoint({cipher.digest(b"body"), PlainCipher().digest(b"body")})
    assert len(cipher.digest(b"")) == len(PlainCipher().digest(b"")) == 32


def test_plain_bodies_stay_readable(cipher: KeyRingCipher) -> None:
    assert cipher.unseal(PlainCipher().seal(b'{"a":1}')) == b'{"a":1}'


def test_the_first_key_seals_and_all_open() -> None:
    old = KeyRingCipher([OLD]).seal(b"body")
    rotated = KeyRingCipher([NEW, OLD])
    assert rotated.unseal(old) == b"body"
    new = rotated.seal(b"body")
    assert KeyRingCipher([NEW]).unseal(new) == b"body"
    with pytest.raises(StorageError, match="PALAVER_SECRET_KEY"):
        KeyRingCipher([OLD]).unseal(new)


def test_a_body_that_no_key_opens_names_the_key() -> None:
    owner, stranger = KeyRingCipher([OLD]), KeyRingCipher([NEW])
    with pytest.raises(StorageError, match=f"key {owner.key_ids[0]}.*{stranger.key_ids[0]}"):
        stranger.unseal(owner.seal(b"body"))
    with pytest.raises(StorageError, match=owner.key_ids[0]):
        stranger.unseal_text(owner.seal_text("text"))


def test_without_a_key_what_is_sealed_is_refused_clearly(cipher: KeyRingCipher) -> None:
    for attempt in (
        lambda: PlainCipher().unseal(cipher.seal(b"body")),
        lambda: PlainCipher().unseal_text(cipher.seal_text("text")),
    ):
        with pytest.raises(
            KeyMissing, match=f"key {cipher.key_ids[0]}, and PALAVER_SECRET_KEY is not set"
        ) as raised:
            attempt()
        assert raised.value.key_ids == cipher.key_ids


@pytest.mark.parametrize("position", [8, 20, 30, -1])
def test_a_body_changed_on_disk_is_refused(cipher: KeyRingCipher, position: int) -> None:
    stored = bytearray(cipher.seal(b"a body of some length"))
    stored[position] ^= 1
    with pytest.raises(StorageError, match=f"key {cipher.key_ids[0]} was changed or damaged"):
        cipher.unseal(bytes(stored))


@pytest.mark.parametrize("stored", [SEALED, SEALED + b"x" * 20])
def test_a_body_cut_short_is_refused(cipher: KeyRingCipher, stored: bytes) -> None:
    with pytest.raises(StorageError, match="damaged"):
        cipher.unseal(stored)


def test_a_text_that_only_looks_sealed_is_refused(cipher: KeyRingCipher) -> None:
    with pytest.raises(StorageError, match="damaged"):
        cipher.unseal_text(SEALED_TEXT + "not base64!")


def test_a_lot_is_left_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "LOT_SIZE", 2)
    monkeypatch.setattr(keyring, "KNOWN_LOTS", 2)
    cipher = KeyRingCipher([OLD])
    stored = [cipher.seal(b"%d" % number) for number in range(9)]
    assert len({body[:15] for body in stored}) == 5
    assert [cipher.unseal(body) for body in stored] == [b"%d" % number for number in range(9)]


def test_a_key_is_the_same_in_every_process() -> None:
    derived = derive_key("correct horse battery staple")
    assert derived.hex().startswith("7f7b7ea11acec6e9")


@pytest.mark.parametrize("secrets", [[], [""], ["  ", ""]])
def test_no_secret_is_no_ring(secrets: list[str]) -> None:
    with pytest.raises(ConfigError, match="secret_key"):
        KeyRingCipher(secrets)
