"""`python -m pixeldojo` and the `pixeldojo-server` script begin here.

Nothing heavy is imported at module level: the media processes import this file again when they start.
"""


def main() -> None:
    """Run the command line."""
    from pixeldojo.cli.importing import importing_much  # noqa: PLC0415  see above

    with importing_much():
        from pixeldojo.cli.main import main as run  # noqa: PLC0415  see above
    run()


if __name__ == "__main__":
    main()
