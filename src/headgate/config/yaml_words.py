"""What is wrong with a text that is no YAML, for people who do not read a parser's grammar.

The line is shown, but of its value only what is known to be no secret: the parser failed, so nothing here
knows for sure what the value belongs to.
"""

import re

from ruamel.yaml.error import MarkedYAMLError

from headgate.config import table

_WORDS = {
    "mapping values are not allowed": "a second `name: value` where only a value may stand: put the value in "
    "quotes, or mend the indentation of this line or of the one above",
    "expected <block end>": "this line does not fit those above it: it is indented otherwise, or text stands "
    "behind a closed quote",
    "found unexpected end of stream": "a quote is never closed",
    "<stream end>": "the file ends within an open bracket [ or brace {",
    "expected ',' or ']'": "a bracket [ is not closed, or a comma is missing",
    "expected ',' or '}'": "a brace { is not closed, or a comma is missing",
    "expected the node content": "a value is missing here, or a bracket does not fit",
    "could not find expected ':'": "a name without a colon: `name: value` is meant to stand here",
    "found unknown escape": "a backslash within double quotes that begins nothing known: use single quotes",
    "'\\t' that cannot start": "a tab: YAML indents with spaces",
    "that cannot start any token": "a text must not begin with this character: put it in quotes",
    "expected chomping": "behind | or > nothing may stand: the text begins on the next line",
    "alias": "an unquoted text begins with *, which stands for another value: put it in quotes",
    "found another document": "a second document begins here (---): only one is read",
}
"""By what the parser's own words contain; the first that fits."""
_OPENING = ("flow sequence", "flow mapping", "quoted scalar")
_NAME = re.compile(r"^[\s{-]*([A-Za-z_][\w-]{0,40}):")
_NAMES = re.compile(r"[\w-]+")
_LONGEST_LINE = 80
_SECRETS = {row.path.rpartition(".")[2] for row in table.rows() if row.is_secret}
_HARMLESS = {step for row in table.rows() for step in row.path.split(".")} - _SECRETS - {table.ANY_NAME}
_SECRET_LOOKS = re.compile(r"sk-|hg_|@|[A-Za-z0-9+/_-]{24}")


def words_of(error: MarkedYAMLError, text: str) -> str:
    """In one line; what the parser repeats of the file is left out, for it may be a secret."""
    mark, opened = error.problem_mark or error.context_mark, error.context_mark
    words = _plain(error.problem or "")
    if opened is None or not any(one in (error.context or "") for one in _OPENING):
        opened = None
    if opened is not None:
        words += f" (it opened at line {opened.line + 1}, column {opened.column + 1})"
    lines = text.splitlines()
    for place in (mark, opened):
        if place is not None and place.line < len(lines) and (line := harmless(lines[place.line])):
            return f"{words}; the line is `{line}`" if place is mark else f"{words}: `{line}`"
    return words


def _plain(problem: str) -> str:
    if "duplicate key" in problem:
        key = problem.partition('"')[2].partition('"')[0]
        return f"the key {key} is there twice"
    return next((words for part, words in _WORDS.items() if part in problem), "this is not valid YAML")


def harmless(line: str) -> str:
    """The line; its value only where its name is of a setting that is no secret. "" without a known name."""
    found = _NAME.match(line)
    if found is None or not line.isprintable():
        return ""
    names = set(_NAMES.findall(line))
    if found[1] in _HARMLESS and not names & _SECRETS and not _SECRET_LOOKS.search(line, found.end()):
        return line.strip()[:_LONGEST_LINE]
    return f"{found[0].strip()} …" if found[1] in _HARMLESS | _SECRETS else ""
