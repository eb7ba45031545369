"""`python -m pilotlight` is `pilotlight`."""

from pilotlight.cli import main

if __name__ == "__main__":
    main()
