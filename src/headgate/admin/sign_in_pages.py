"""The page that a browser sees at the end of a sign-in. It stands alone: no script, nothing from outside."""

from html import escape

from starlette.responses import HTMLResponse

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Headgate: {title}</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 15vh auto; max-width: 34rem; padding: 0 1.5rem;
color: #1a1a1a; background: #fafafa }}
h1 {{ font-size: 1.4rem }} p.mend {{ color: #555 }}
@media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #161616 }} p.mend {{ color: #aaa }} }}
</style></head><body><h1>{title}</h1><p>{text}</p><p class="mend">{mend}</p></body></html>
"""

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""The address of this page holds a code: it goes to no other site, and into no cache."""


def page(status: int, title: str, text: str, mend: str = "") -> HTMLResponse:
    """Whatever is put in is escaped: parts of it come from strangers."""
    content = _PAGE.format(title=escape(title), text=escape(text), mend=escape(mend))
    return HTMLResponse(content, status_code=status, headers=_HEADERS)
