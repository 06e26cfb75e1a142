"""The words of the synthetic corpus that are not numbers."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PEOPLE = _words(
    "Anna Ben Clara David Emma Felix Grace Henry Ida Jack Kate Leo Maria Noah Olga Paul Rosa Sam Tom Vera Will Zoe"
)
PLACES = _words(
    "Berlin Boston Cairo Delhi Geneva Lagos Lima London Madrid Milan Oslo Paris Prague Quito Rome Sydney "
    "Tokyo Vienna Warsaw Zurich"
)
ANIMALS = _words("birds cats cows dogs ducks fish goats hens horses mice pigs sheep")
FOODS = _words("apples beans cakes carrots cherries eggs figs lemons nuts onions pears plums potatoes")
GOODS = _words(
    "bag ball bed book bottle box chair clock coat cup desk door hat jacket knife lamp mirror pan pen phone "
    "plate radio ring scarf shirt shoe sofa spoon table tent"
)
THINGS = _words(
    "bridge canal city coast fence field forest garden harbour lake market park path river road school ship "
    "street tower valley village wall"
)
UNITS = _words("cm feet grams hours inches kg km litres metres miles minutes pounds seconds tons weeks days")
MONTHS = _words("January February March April May June July August September October November December")
EVENTS = (
    "a new bridge opened",
    "a school was built",
    "a war began",
    "peace was made",
    "the fire came",
    "the harvest was poor",
    "the king died",
    "the library closed",
    "the old church fell",
    "the queen was born",
    "the river rose",
    "the theatre burned",
    "the tower was sold",
    "they found gold",
)
