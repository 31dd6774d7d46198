"""Several pictures of which a person chooses: drafts of all of them, and what is chosen finished."""

from __future__ import annotations

from glide_edit.requests import Request


def as_candidates(request: Request) -> Request:
    """A request for several pictures as one for so many candidates, of which the best is finished.

    ``Editor.stream_candidate`` finishes others of them. A request for one picture, with seeds of its own, or
    for what has no drafts stays as it is: all its pictures are finished.
    """
    if request.n == 1 or not request.in_a_row or not request.has_drafts:
        return request
    return request.replace(n=1, candidates=request.n)
