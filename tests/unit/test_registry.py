"""Names, aliases, and messages that list the choices."""

from __future__ import annotations

import fractions

import pytest

from data_utils.errors import UserError
from data_utils.registry import Registry, choices_hint


class Crimson:
    pass


class Azure:
    pass


def other_crimson() -> type:
    class Crimson:
        pass

    return Crimson


@pytest.fixture
def colours() -> Registry[type]:
    registry: Registry[type] = Registry(
        "colour", {"fraction": "fractions:Fraction"}, aliases={"ratio": "fraction"}
    )
    registry.register("crimson", "red")(Crimson)
    registry.register("azure")(Azure)
    return registry


def test_an_alias_resolves_to_the_registered_name(colours):
    assert colours.canonical("red") == "crimson"
    assert colours.get("red") is colours.get("crimson") is Crimson
    assert colours.names() == ["azure", "crimson", "fraction"]  # aliases are not choices
    assert colours.aliases("crimson") == ["red"]
    assert "red" in colours
    assert "green" not in colours


def test_a_built_in_object_is_imported_when_it_is_used():
    registry: Registry[type] = Registry("colour", {"missing": "no_such_module:Thing"})
    assert registry.names() == ["missing"]
    assert registry.canonical("missing") == "missing"
    with pytest.raises(ModuleNotFoundError):
        registry.get("missing")


def test_a_built_in_object_is_found_under_its_name_and_its_alias(colours):
    assert colours.get("fraction") is colours.get("ratio") is fractions.Fraction
    assert colours.place("fraction") == "fractions:Fraction"
    assert colours.place("azure") == f"{__name__}:Azure"


@pytest.mark.parametrize("names", [("crimson",), ("red",), ("green", "red"), ("fraction",)])
def test_another_object_under_a_taken_name_is_an_error(colours, names):
    with pytest.raises(ValueError, match=f"colour '{names[-1]}' is already registered, by "):
        colours.register(*names)(Azure)
    assert colours.names() == ["azure", "crimson", "fraction"]
    assert colours.get("red") is Crimson


def test_the_same_class_again_replaces_the_first(colours):
    again = type("Crimson", (), {"__module__": __name__})
    colours.register("crimson", "red")(again)
    assert colours.get("red") is again
    with pytest.raises(ValueError, match="already registered, by"):
        colours.register("crimson")(other_crimson())


def test_an_entry_is_adapted_once():
    registry: Registry[str] = Registry("colour", adapt="builtins:format")  # format(name, thing)
    with pytest.raises(TypeError):
        registry.register("azure")(Azure)
    assert "azure" not in registry


def test_an_unknown_name_says_where_what_and_the_choices(colours):
    with pytest.raises(UserError) as error:
        colours.get("crimsom", where="tasks.yml:3")
    assert str(error.value) == (
        "tasks.yml:3: unknown colour 'crimsom'. Did you mean 'crimson'? Choices: azure, crimson, fraction."
    )


def test_nothing_near_gives_the_choices_alone():
    assert choices_hint("zzz", ["b", "a"]) == " Choices: a, b."
    assert choices_hint(3, ["a"]) == " Choices: a."


def test_a_user_error_is_a_value_error():
    assert issubclass(UserError, ValueError)
