"""What we write into spreadsheets: any text comes in, text that no spreadsheet runs goes out."""

#: A cell that begins so is taken for a formula by one spreadsheet or another, also behind a tab or a line break.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def plain_cell(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would run it: names and notes come from outside."""
    # "+256772123456" and "-" alone calculate nothing that wasn't there.
    if text.startswith(_FORMULA_STARTS) and not text.lstrip("+-").replace(" ", "").isdigit() and text.strip("-"):
        return f"'{text}"
    return text
