# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks that refuse their input."""

import pytest


def refused(kind, code, call, tmp_path, *named):
    """The call fails with this error, whose sentence names the culprit, and leaves nothing behind."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.action
    for word in named:
        assert word in caught.value.message
    assert sorted(tmp_path.rglob("*")) == before
