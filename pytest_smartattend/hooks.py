"""What adopters may implement in a conftest.py or a plugin of theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_smartattend.target.adapter import Adapter
    from pytest_smartattend.target.platform import Platform
    from pytest_smartattend.target.translator import Translator


@pytest.hookspec(firstresult=True)
def pytest_smartattend_target(config: pytest.Config, adapter: Adapter) -> Translator | Platform | None:
    """Say by Python what the adapter file cannot say.

    Called once in each process that runs checks, for the targets ``command`` and ``url``.

    Args:
        config: pytest's.
        adapter: what the file says.

    Returns:
        a `Translator` that stands between the contract and your API; or a `Platform` of your own, which is then all that
        the suites know; or None for what the file says.
    """
