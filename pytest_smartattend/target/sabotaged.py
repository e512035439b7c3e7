"""``python -m pytest_smartattend.target.sabotaged NAME``: the reference platform with one planted defect.

The only way to one: the platform's ordinary entry point does not know that sabotages exist.
"""

from __future__ import annotations

import sys

from pytest_smartattend.reference.serve import default_app, serve
from pytest_smartattend.sabotage import catalogue


def main() -> None:
    """Serve with the defect that the command line names."""
    entry = catalogue.by_name()[sys.argv[1]]

    def factory() -> object:
        app = default_app()
        if entry.apply_app is not None:
            entry.apply_app(app)
        return app

    serve(app_factory=factory)


if __name__ == "__main__":
    main()
