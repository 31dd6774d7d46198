"""``python -m glide_edit.training``: ``glide-edit train`` where the command line's packages are missing."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import MISSING, fields
from types import NoneType
from typing import Literal, get_args, get_origin, get_type_hints

from glide_edit.errors import GlideEditError
from glide_edit.training.run import TrainSettings, run


def main() -> int:
    """0 finished, 2 an error, 130 stopped; the numbers of the log go to stdout."""
    parser = argparse.ArgumentParser("python -m glide_edit.training", description="Train one stage.")
    for field in fields(TrainSettings):
        hint = get_type_hints(TrainSettings)[field.name]
        kinds = [kind for kind in get_args(hint) if kind is not NoneType] or [hint]
        if get_origin(hint) is Literal:
            parser.add_argument(field.name, choices=kinds)
        elif field.name != "network":  # no text says what a network is
            name, needed = f"--{field.name.replace('_', '-')}", field.default is MISSING
            parser.add_argument(name, type=kinds[0], default=field.default, required=needed)
    try:
        settings = TrainSettings(**vars(parser.parse_args()))
        outcome = run(settings, lambda record: print(json.dumps(record), flush=True))
    except GlideEditError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(outcome.model)
    return 0 if outcome.finished else 130


if __name__ == "__main__":
    sys.exit(main())
