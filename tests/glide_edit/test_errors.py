import inspect
import pickle
import re

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
        (errors.DeviceBusy, TimeoutError),
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


@pytest.mark.parametrize("error", CLASSES)
def test_errors_have_a_code_for_programs_and_survive_pickling(error: type[errors.GlideEditError]) -> None:
    assert re.fullmatch("[a-z_]+", error("no").code)
    assert error("no").field is None
    exact = pickle.loads(pickle.dumps(error("no", code="seed_out_of_range", field="seed")))
    assert (type(exact), str(exact), exact.code, exact.field) == (error, "no", "seed_out_of_range", "seed")


def test_codes_of_classes_differ() -> None:
    assert len({error.code for error in CLASSES}) == len(CLASSES)
