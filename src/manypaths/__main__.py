"""``python -m manypaths``."""

from manypaths.cli import main

if __name__ == "__main__":
    main()
