"""Names, aliases, and messages that list the choices."""

from __future__ import annotations

import pytest

from data_utils.errors import UserError
from data_utils.registry import Registry, choices_hint


@pytest.fixture
def colours() -> Registry[int]:
    registry: Registry[int] = Registry("colour")
    registry.register("crimson", "red")(1)
    registry.register("azure")(2)
    return registry


def test_an_alias_resolves_to_the_registered_name(colours):
    assert colours.canonical("red") == "crimson"
    assert colours.get("red") == colours.get("crimson") == 1
    assert colours.names() == ["azure", "crimson"]  # aliases are not choices
    assert "red" in colours
    assert "green" not in colours


@pytest.mark.parametrize("name", ["crimson", "red"])
def test_a_name_is_registered_once(colours, name):
    with pytest.raises(ValueError, match=f"colour '{name}' is registered twice"):
        colours.register(name)(3)
    with pytest.raises(ValueError, match="registered twice"):
        colours.register("green", name)(3)
    assert colours.names() == ["azure", "crimson"]


def test_an_unknown_name_says_where_what_and_the_choices(colours):
    with pytest.raises(UserError) as error:
        colours.get("crimsom", where="tasks.yml:3")
    assert str(error.value) == (
        "tasks.yml:3: unknown colour 'crimsom'. Did you mean 'crimson'? Choices: azure, crimson."
    )


def test_nothing_near_gives_the_choices_alone():
    assert choices_hint("zzz", ["b", "a"]) == " Choices: a, b."
    assert choices_hint(3, ["a"]) == " Choices: a."


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)
