"""What `laws` shows: a table in place of every field of every law."""

from __future__ import annotations

import pickle

from lstm_shapes import laws


def test_laws_are_a_tuple_that_shows_itself() -> None:
    """Still a tuple in every way; a REPL and a notebook show a table in place of every field."""
    found = laws(28, 256, 3)
    assert isinstance(found, tuple)
    assert (*found,) == found
    assert pickle.loads(pickle.dumps(found)) == found
    assert repr(found).startswith("Identities that hold: ")
    assert found[0].expression in repr(found)
    assert "Law(" not in repr(found)
    assert found.to_dict() == {"laws": [law.to_dict() for law in found]}
