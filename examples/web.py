"""A web page that shows the answer as it comes: Flask, one session for each question.

pip install flask
python examples/web.py [PORT]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

try:
    from flask import Flask, Response, request
except ImportError:
    sys.exit("This needs Flask: pip install flask")

import realtime_sync as rt
from realtime_sync.local import somewhere

PAGE = """<!doctype html><title>realtime_sync</title>
<form><input name=question autofocus> <button>Ask</button></form><pre></pre>
<script>
document.forms[0].onsubmit = async (submitted) => {
  submitted.preventDefault();
  const out = document.querySelector("pre");
  out.textContent = "";
  const answer = await fetch("/ask", {method: "POST", body: new FormData(submitted.target)});
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece; !(piece = await reader.read()).done;) out.textContent += piece.value;
};
</script>"""

app = Flask(__name__)
where = somewhere()


@app.get("/")
def page() -> str:
    return PAGE


@app.post("/ask")
def ask() -> Response:
    return Response(answer(request.form["question"]), mimetype="text/plain")


def answer(question: str) -> Iterator[str]:
    # The session lives in the generator: what Flask streams is made after the view has returned. A visitor who leaves
    # ends the generator, and with it the response and the session.
    try:
        with (
            rt.connect("gpt-realtime", **where, session={"output_modalities": ["text"]}) as session,
            session.respond(question) as turn,
        ):
            yield from turn.text()
    except rt.RealtimeError as error:
        yield f"[{type(error).__name__}: {error}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A web page that shows the answer as it comes.")
    parser.add_argument("port", type=int, nargs="?", default=5000, help="where the page is (default: 5000)")
    app.run(port=parser.parse_args().port, threaded=True)
