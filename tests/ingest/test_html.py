"""HTML: what a browser shows, in the page's encoding, and no connection to anywhere."""

import pytest
from opencc import OpenCC

from tests.ingest.drawing import picture, png
from tests.ingest.listening import listening

PAGE = """<html><head><meta charset="{charset}"><title>公告</title><style>.x {{display: none}}</style></head><body>
<h1>采购公告</h1><p>项目编号 <b>CG-2026-018</b>，预算三百万元。</p><p class="x">隐藏的字</p>
<table border="1"><tr><th>名称</th><th>数量</th></tr><tr><td>服务器</td><td>12台</td></tr></table></body></html>"""


@pytest.fixture
def listener():
    with listening() as server:
        yield server


def text_of(document) -> str:
    with document.page(1) as page:
        return page.pdf_page.get_text()


@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "gbk", "big5"])
def test_text_tables_and_nothing_hidden(tmp_path, opened, charset):
    page = PAGE.format(charset=charset)
    if charset == "big5":
        page = OpenCC("s2t").convert(page)
    (tmp_path / "a.html").write_bytes(page.encode(charset))
    text = text_of(opened(tmp_path / "a.html"))
    for expected in ("CG-2026-018", "12臺" if charset == "big5" else "12台", "萬元" if charset == "big5" else "万元"):
        assert expected in text
    assert "藏" not in text


def test_an_encoding_that_is_not_named_or_named_wrongly_is_found(tmp_path, opened):
    body = "<p>预算三百万元，服务器十二台。</p>" * 3
    (tmp_path / "none.html").write_bytes(f"<html><body>{body}</body></html>".encode("gbk"))
    (tmp_path / "wrong.html").write_bytes(f"<html><meta charset='ascii'><body>{body}</body></html>".encode())
    for name in ("none.html", "wrong.html"):
        assert "三百万元" in text_of(opened(tmp_path / name))


def test_no_page_makes_anyone_call(tmp_path, opened, listener):
    url, calls = listener
    secret = picture(("机密",), dpi=50)
    (tmp_path / "secret.png").write_bytes(png(secret))
    (tmp_path / "a.html").write_text(
        f"""<html><head><base href="{url}/"><link rel="stylesheet" href="{url}/a.css">
        <style>@import url("{url}/b.css"); p {{background: url({url}/c.png)}}
        @font-face {{font-family: F; src: url({url}/f.ttf)}} body {{font-family: F}}</style>
        <script src="{url}/a.js"></script><meta http-equiv="refresh" content="0; url={url}/r"></head><body>
        <p>正文在此</p>
        <img src="{url}/a.png" srcset="{url}/b.png 2x"><img src="secret.png"><iframe src="{url}/i"></iframe>
        <object data="{url}/o"></object><embed src="{url}/e"><video src="{url}/v" poster="{url}/p"></video>
        <svg><image href="{url}/s.png" /></svg><input type="image" src="{url}/n.png"></body></html>"""
    )
    document = opened(tmp_path / "a.html")
    with document.page(1) as page:
        assert page.pdf_page.get_text().split() == ["正文在此"]
        assert secret.size not in {(image[2], image[3]) for image in page.pdf_page.get_images()}
        page.render(100, 10_000_000)
    assert calls == []


def test_pictures_inside_the_page_are_shown(tmp_path, opened):
    import base64

    data = base64.b64encode(png(picture(("图",), dpi=50))).decode()
    (tmp_path / "a.html").write_text(f'<html><body><p>图：</p><img src="data:image/png;base64,{data}"></body></html>')
    with opened(tmp_path / "a.html").page(1) as page:
        assert len(page.pdf_page.get_images()) == 1
