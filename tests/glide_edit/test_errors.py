import inspect

import pytest

from glide_edit import errors

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_caught_with_the_base_and_is_public_and_explained(error: type[Exception]) -> None:
    assert issubclass(error, errors.GlideEditError)
    assert error.__name__ in errors.__all__
    assert error.__doc__ is not None
    assert error.__name__ in (errors.__doc__ or ""), "missing from the tree at the top of the file"


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.ImageError, ValueError),
        (errors.OutputExists, FileExistsError),
    ],
)
def test_bad_input_is_also_what_python_calls_it(error: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise error("no")


@pytest.mark.parametrize("error", CLASSES)
def test_message_is_printed_as_given(error: type[Exception]) -> None:
    assert str(error("edit.png exists already: choose another name.")) == (
        "edit.png exists already: choose another name."
    )
