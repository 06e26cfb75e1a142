"""``python -m numgeom.cli``."""

from numgeom.cli import main

main()
