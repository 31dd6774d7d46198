"""``python -m glide_edit.training``: ``glide-edit train`` where the command line's packages are missing."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import MISSING
from typing import get_args

from glide_edit.errors import GlideEditError
from glide_edit.openmp import spin_briefly
from glide_edit.training.command_line import OPTIONS, STAGE_HELP, settings_of
from glide_edit.training.settings import Stage


def main() -> int:
    """0 finished, 2 an error, 130 stopped; the numbers of the log go to stdout."""
    parser = argparse.ArgumentParser("python -m glide_edit.training", description="Train one stage.")
    parser.add_argument("stage", choices=get_args(Stage), help=STAGE_HELP)
    for option in OPTIONS:
        given = {"required": True} if option.default is MISSING else {"default": option.default}
        parser.add_argument(
            *option.flags, type=option.type, metavar=option.metavar, help=option.help, **given
        )
    values = vars(parser.parse_args())
    spin_briefly()
    from glide_edit.training.run import run

    try:
        outcome = run(settings_of(values), lambda record: print(json.dumps(record), flush=True))
    except GlideEditError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(outcome.model)
    return 0 if outcome.finished else 130


if __name__ == "__main__":
    sys.exit(main())
