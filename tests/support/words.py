"""The vocabulary of the tiny encoders and its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers as hf

_WORD_LIST = """
a about above accurate actor after again against age air all alone also always amazing an and animal
another answer any apple are art as asia at author award away awful back bad ball band bank banana
basketball be beach beautiful because bed before began best better between big bird black blue boat
body book boring born both box boy bread bridge bright bring brother brown building built bus but
buy by cake call came can capital car cat center century chair cheap child children china church
city class clean clear climb close clothes cloud club coffee cold color come company cook could
country cow cup cut dance dark daughter day dead dear death deep did different dinner do doctor does
dog door down draw dream drink drive dull during each early earth east easy eat egg eight empire end
england english enjoy enough europe even evening ever every eye face fact fall false family far farm
fast father feel few field film find fine fire first fish five flat flower fly food foot for forest
found four france french fresh friend from fruit full fun funny game garden gave german germany get
girl give go gold good got grass great green ground group grow guitar had hair half hand happy hard
has hat hate have he head hear heart heavy help her here high hill him his history hit hold home
horse hospital hot hotel hour house how hundred hungry i ice idea if in inside into is island it
italy its james japan job john join jump just keep kick kind king kitchen knew know lady lake land
language large last late laugh lead learn leave left less let letter life light like line lion list
listen little live lived london long look lost lot loud love low lunch made make man many map market
mary may me mean meat meet men met middle might mile milk minute money month moon more morning most
mother mountain mouse move movie much museum music must my name near never new news next nice night
nine no none north not nothing now number ocean of off office often oh old on once one only open or
orange organization other our out outside over paint paper parent paris park part party past peace
people person piano picture piece place plane plant play player please plot poem point poor possible
power president price prince problem produce question quick quiet rain ran rather read ready real
red rich right ring river road rock roof room round rule run sad said sail same sat saw say scene
school science sea season second see seem seen sell send seven she ship shoe shop short should show
sing sister sit six skin sky sleep slow small smile smith snow so soft some son song soon south
space spain speak spring stand star start state station stay still stone stop store story street
strong student study summer sun sure swim table take talk tall tea teacher team tell temple ten
terrible than that the their them then there these they thing think third this those though three
through time to today together told too took top town trade train tree trip true try turn twelve two
under university until up us use very visit voice wait walk wall want war warm was watch water way
we weather week well went were west what when where which while white who whole why wide wife wild
will win wind window winter wish with without woman women wonderful wood word work world would write
written wrong year yellow yes yesterday york you young your zero
"""
WORDS = _WORD_LIST.split()
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_PUNCTUATION = ".,;:!?'\"()-/$%&"


def vocabulary() -> dict[str, int]:
    """Token -> id: special tokens, characters, continuations, words; ASCII letters never give [UNK]."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_PUNCTUATION, *_LETTERS]
    tokens += [f"##{letter}" for letter in _LETTERS] + WORDS
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def tiny_tokenizer(folder: str | Path) -> Path:
    """Write a lowercasing WordPiece tokenizer of :func:`vocabulary`; returns the folder."""
    tokenizer = hf.BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=128)
    tokenizer.save_pretrained(folder)
    return Path(folder)


class Words:
    """A tokenizer that only decodes: the ids themselves, with blanks between."""

    eos_token_id = 1

    def decode(self, ids: list[int], **_: Any) -> str:
        return " ".join(map(str, ids))
