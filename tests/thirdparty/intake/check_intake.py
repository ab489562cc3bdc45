"""`policy import` over documents that other people's libraries wrote: python-docx for Word's form, Python-Markdown for HTML,
ReportLab for PDF.

    check_intake.py COUNTERFOIL WORK
"""

import hashlib
import json
import pathlib
import re
import subprocess
import sys

import docx
import markdown
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import Image, ListFlowable, ListItem, Paragraph, SimpleDocTemplate, Table
from PIL import Image as Picture

CLAUSES = [
    ("2.1", "Small payments", ["A payment of EUR 2,500.00 or less – “small” & quick – is released.", ["to suppliers", "to <staff>"]]),
    ("2.2", "Large payments", ["Two people sign.", "They are not the same person."]),
]


def run(counterfoil, *args):
    return subprocess.run([counterfoil, "policy", "import", *map(str, args)], capture_output=True, text=True, timeout=60)


def wrote(text, prefix):
    """Id, title and text of each clause of a policy document."""
    found = re.findall(rf"^### ({prefix}-[0-9.]+) (.*)\n\n((?:(?!^##).*\n?)*)", text, re.M)
    return [(i, title, words.strip()) for i, title, words in found]


def expected(ids):
    def words(parts):
        return "\n\n".join(p if isinstance(p, str) else "\n".join(f"- {item}" for item in p) for p in parts)

    return [(i, title, words(parts)) for i, (_, title, parts) in zip(ids, CLAUSES)]


def word(path, change=lambda document: None):
    document = docx.Document()
    document.add_heading("Payment Authority", 0)
    document.add_heading("2. Limits", 1)
    for number, title, parts in CLAUSES:
        document.add_heading(f"{number} {title}", 2)
        for part in parts:
            if isinstance(part, str):
                # Several runs, as Word cuts them.
                paragraph = document.add_paragraph(part[:7])
                paragraph.add_run(part[7:]).bold = True
            else:
                for item in part:
                    document.add_paragraph(item, style="List Bullet")
    change(document)
    document.save(path)


def page(path):
    lines = ["# Payment Authority", "", "## 2. Limits"]
    for number, title, parts in CLAUSES:
        lines += ["", f"### {number} {title}"]
        for part in parts:
            escaped = [part] if isinstance(part, str) else [f"- {item}" for item in part]
            lines += ["", *(line.replace("&", "&amp;").replace("<", "&lt;") for line in escaped)]
    html = markdown.markdown("\n".join(lines), output_format="html")
    path.write_text(f"<!DOCTYPE html><html><head><title>x</title><style>h2 {{}}</style></head><body>{html}</body></html>", encoding="utf-8")


LONG = "A payment above EUR 2,500.00 is released by two people, who have both read what it rests on, and not before then. " * 60


def print_out(path, more=()):
    """A PDF of several pages, with heads and feet."""
    style = getSampleStyleSheet()
    body = style["BodyText"]
    story = [Paragraph("Payment Authority", style["Title"]), Paragraph("2. Limits", style["Heading1"])]
    for number, title, parts in [*CLAUSES, ("2.3", "All payments", [LONG.strip()])]:
        story.append(Paragraph(f"{number} {title}", style["Heading2"]))
        for part in parts:
            escaped = [p.replace("&", "&amp;").replace("<", "&lt;") for p in ([part] if isinstance(part, str) else part)]
            if isinstance(part, str):
                story.append(Paragraph(escaped[0], body))
            else:
                story.append(ListFlowable([ListItem(Paragraph(p, body)) for p in escaped], bulletType="bullet"))

    def margins(canvas, document):
        canvas.drawString(72, 30, f"Page {document.page}")
        canvas.drawString(72, 810, "Example Ltd, internal")

    SimpleDocTemplate(str(path), pagesize=A4).build([*story, *more], onFirstPage=margins, onLaterPages=margins)


def check_pdf(counterfoil, work):
    print_out(work / "pay.pdf")
    words = (work / "pay.pdf", "--id", "PAY", "--edition", "3")
    refused = run(counterfoil, *words)
    assert refused.returncode == 2 and "read what was written over against it" in refused.stderr, refused.stderr
    assert "a head or foot of 2 pages: `Example Ltd, internal`" in refused.stderr, refused.stderr
    assert "a head or foot of 2 pages: `Page 1`" in refused.stderr, refused.stderr
    done = run(counterfoil, *words, "--leave-out")
    assert done.returncode == 0, done.stderr
    assert wrote(done.stdout, "PAY") == [*expected(["PAY-2.1", "PAY-2.2"]), ("PAY-2.3", "All payments", LONG.strip())], done.stdout
    assert done.stdout.startswith("# Payment Authority\n"), done.stdout
    digest = hashlib.sha256((work / "pay.pdf").read_bytes()).hexdigest()
    assert f"source: pay.pdf, source-sha256: {digest}" in done.stdout, done.stdout

    Picture.new("RGB", (40, 40), "red").save(work / "red.png")
    print_out(work / "odd.pdf", [Table([["up to", "signs"], ["10,000", "two"]], colWidths=150), Image(work / "red.png")])
    refused = run(counterfoil, work / "odd.pdf", "--id", "PAY", "--edition", "3")
    assert "words side by side, a table or columns" in refused.stderr and "an image" in refused.stderr, refused.stderr
    left = run(counterfoil, work / "odd.pdf", "--id", "PAY", "--edition", "3", "--leave-out")
    assert wrote(left.stdout, "PAY") == wrote(done.stdout, "PAY"), left.stdout

    (work / "none.pdf").write_bytes(b"%PDF-1.7\nno more\n")
    broken = run(counterfoil, work / "none.pdf", "--id", "PAY", "--edition", "3")
    assert broken.returncode == 2 and "`pdftotext` cannot read it" in broken.stderr, broken.stderr
    without = subprocess.run([counterfoil, "policy", "import", str(work / "pay.pdf"), "--id", "PAY", "--edition", "3"],
                             capture_output=True, text=True, timeout=60, env={"PATH": str(work)})
    assert without.returncode == 2 and "install `poppler-utils`" in without.stderr, without.stderr


def main():
    counterfoil, work = sys.argv[1], pathlib.Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    word(work / "pay.docx")
    page(work / "pay.html")
    for name in ("pay.docx", "pay.html"):
        out = work / f"{name}.md"
        done = run(counterfoil, work / name, "--id", "PAY", "--edition", "3", "--owner", "Doe, Chief", "--out", out)
        assert done.returncode == 0, done.stderr + done.stdout
        text = out.read_text(encoding="utf-8")
        assert wrote(text, "PAY") == expected(["PAY-2.1", "PAY-2.2"]), text
        digest = hashlib.sha256((work / name).read_bytes()).hexdigest()
        assert f"source: {name}, source-sha256: {digest}" in text, text
        assert 'owner: "Doe, Chief"' in text and text.startswith("# Payment Authority\n"), text
        again = run(counterfoil, work / name, "--id", "PAY", "--edition", "3", "--out", out)
        assert again.returncode == 2 and "never written over" in again.stderr, again.stderr

    def reworded(document):
        document.paragraphs[-1].runs[-1].text = "re never one and the same person, whatever their titles."

    word(work / "next.docx", reworded)
    done = run(counterfoil, work / "next.docx", "--id", "PAY", "--edition", "4", "--previous", work / "pay.docx.md", "--json",
               "--out", work / "next.md")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(f["clause"], f["alike"] == 100) for f in found] == [("PAY-2.1", True), ("PAY-2.2", False)], found

    def table(document):
        document.add_table(2, 2).cell(0, 0).text = "up to 10,000"

    word(work / "table.docx", table)
    refused = run(counterfoil, work / "table.docx", "--id", "PAY", "--edition", "4")
    assert refused.returncode == 2 and "a table" in refused.stderr and "--leave-out" in refused.stderr, refused.stderr
    left = run(counterfoil, work / "table.docx", "--id", "PAY", "--edition", "4", "--leave-out")
    assert left.returncode == 0 and wrote(left.stdout, "PAY") == expected(["PAY-2.1", "PAY-2.2"]), left.stdout

    def comment(document):
        paragraph = document.paragraphs[-1]
        document.add_comment(paragraph.runs, text="Really?", author="A", initials="A")

    word(work / "comment.docx", comment)
    refused = run(counterfoil, work / "comment.docx", "--id", "PAY", "--edition", "4")
    assert refused.returncode == 2 and "a comment" in refused.stderr, refused.stderr
    check_pdf(counterfoil, work)
    print("documents of python-docx, Python-Markdown and ReportLab: imported word for word, and refused where they cannot be")


if __name__ == "__main__":
    main()
