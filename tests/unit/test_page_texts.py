"""What templates of pages fill into their texts: each value has its place, in both languages."""

import json
import re
from string import Formatter

import pytest

from exporter.lib.times import zone_of
from exporter.look.wording import TEXTS, Wording
from tests.tools import ROOT

CALL = re.compile(r'\bt\("(\w+)", ([^{}]*?)\)(?=[ )%}<]|$)')
TEMPLATES = sorted((ROOT / "exporter").glob("*/templates/*.html"))


def test_calls_are_found():
    assert len(TEMPLATES) > 8
    assert sum(len(CALL.findall(file.read_text(encoding="utf-8"))) for file in TEMPLATES) > 30


@pytest.mark.parametrize("language", ["id", "en"])
@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: f"{file.parent.parent.name}/{file.name}")
def test_a_text_is_filled_with_what_its_template_gives(file, language):
    own = file.parent.parent / "texts.json"
    texts = json.loads(own.read_text(encoding="utf-8")) if own.exists() else {"id": {}, "en": {}}
    words = Wording(language, zone_of("Asia/Jakarta"), texts)
    known = TEXTS[language] | texts[language]
    for name, arguments in CALL.findall(file.read_text(encoding="utf-8")):
        given = set(re.findall(r"(?:^|, )(\w+)=", arguments))
        wanted = {field for _, field, _, _ in Formatter().parse(known[name]) if field}
        assert wanted <= given, (name, arguments)
        assert "ISI" in words.text(name, **dict.fromkeys(given, "ISI")) or not wanted
