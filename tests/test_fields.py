"""Settings: validation, text, and messages."""

from __future__ import annotations

from typing import Literal

import pytest

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.oracles.svrg import SVRG
from manypaths.penalties.dragan import Dragan
from manypaths.recipes.digits import adam, svre
from manypaths.run.recipe import Recipe
from manypaths.specs import Spec


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("1e-3", float, 1e-3),
        ("010", int, 10),
        ("3", fields.Positive, 3.0),
        ("none", int | None, None),
        ("7", int | None, 7),
        ("0.5,0.9", tuple[float, float], (0.5, 0.9)),
        ("[1, 2, 3]", tuple[int, ...], (1, 2, 3)),
        ("28", Literal[8, 28], 28),
        ("true", bool, True),
        ("batch", Literal["batch"] | fields.Positive, "batch"),
        ("0.7", Literal["batch"] | fields.Positive, 0.7),
    ],
)
def test_text_means_what_the_annotation_says(text, annotation, value) -> None:
    parsed = fields.parse(text, annotation, "x")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "annotation", "message"),
    [
        ("1e-3", int, "x is '1e-3': expected int"),
        ("-1", fields.PositiveInt, "x is -1: expected a number >= 1"),
        ("maybe", bool, "x is 'maybe': expected true or false"),
        ("1,2,3", tuple[float, float], "x is ('1', '2', '3')|expected 2 values"),
        ("geometrc", Literal["fixed", "geometric"], "did you mean 'geometric'"),
        ("inf", fields.Positive, "x is inf"),
    ],
)
def test_bad_text_is_said_in_one_line(text, annotation, message) -> None:
    with pytest.raises(InvalidValue) as caught:
        fields.parse(text, annotation, "x")
    assert any(part in str(caught.value) for part in message.split("|"))
    assert "\n" not in str(caught.value)


def test_components_are_checked_at_construction() -> None:
    assert Dragan(weight=3).weight == 3.0
    with pytest.raises(InvalidValue, match=r"Dragan.weight is -1: expected a number >= 0|Dragan.weight is -1.0"):
        Dragan(weight=-1)
    with pytest.raises(InvalidType, match=r"Dragan.weight is '3': expected float"):
        Dragan(weight="3")
    with pytest.raises(InvalidType, match="Dragan.weight is True"):
        Dragan(weight=True)


@pytest.mark.parametrize("recipe", [svre, adam])
def test_recipes_survive_plain_data(recipe) -> None:
    there_and_back = Recipe.from_plain(recipe().to_plain())
    assert there_and_back.to_plain() == recipe().to_plain()


def test_with_replaces_values_parts_and_lists() -> None:
    recipe = svre().with_(
        {
            "oracle.batch": "48",
            "game.penalties": "r1,dragan",
            "game.penalties.1.std": "0.7",
            "game.objective": "minimax",
            "rule.moments": "rewind",
            "averages": "none",
            "optimizers.critic": "adam",
            "optimizers.critic.betas": "0.5,0.9",
            "seed": 3,
        }
    )
    plain = recipe.to_plain()
    assert plain["oracle"]["batch"] == 48
    assert [p["name"] for p in plain["game"]["penalties"]] == ["r1", "dragan"]
    assert plain["game"]["penalties"][1]["std"] == 0.7
    assert plain["game"]["objective"] == {"name": "minimax"}
    assert plain["rule"]["moments"] == "rewind"
    assert plain["averages"] == {}
    assert plain["optimizers"]["critic"]["betas"] == [0.5, 0.9]
    assert svre().to_plain()["oracle"]["batch"] == 32, "the original is untouched"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("oracle.bacth", "3", "unknown setting of oracle: 'bacth': did you mean 'batch'?"),
        ("oracel.batch", "3", "unknown setting 'oracel.batch': did you mean"),
        ("oracle.batch", "-3", "oracle.batch is -3: expected a number >= 1"),
        ("oracle.batch", "many", "oracle.batch is 'many': expected int"),
        ("game.objective", "minmax", "unknown objective 'minmax': did you mean 'minimax'?"),
        ("rule", "extragradent", "unknown rule 'extragradent': did you mean 'extragradient'?"),
        ("optimizers.discriminator.lr", "1", "unknown entry of optimizers: 'discriminator'"),
        ("steps.x", "1", "steps has no settings of its own"),
        ("game.generator", "digits", "unknown model 'digits'"),
    ],
)
def test_wrong_settings_are_said_in_one_line(path, value, message) -> None:
    with pytest.raises((InvalidValue, InvalidType)) as caught:
        svre().with_({path: value})
    assert message in str(caught.value)


def test_a_part_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(InvalidType, match="expected a Rule"):
        svre().with_({"rule": Spec(SVRG)})


def test_a_negative_learning_rate_is_refused_before_anything_is_built() -> None:
    with pytest.raises(InvalidValue, match=r"optimizers.critic: Invalid learning rate: -1"):
        svre().with_({"optimizers.critic.lr": "-1"}).check()
