"""A window to chat in, with tkinter: a timer of the GUI looks for events, so that everything stays on one thread."""

from __future__ import annotations

import sys
import tkinter
from typing import Any

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere

LOOK_EVERY_MS = 30


class Window:
    def __init__(self, session: rt.RealtimeSession) -> None:
        self.session = session
        self.root = tkinter.Tk()
        self.root.title("realtime_sync")
        self.shown = tkinter.Text(self.root, wrap="word")
        self.shown.pack(fill="both", expand=True)
        self.entry = tkinter.Entry(self.root)
        self.entry.pack(fill="x")
        self.entry.bind("<Return>", self.say)
        session.on(events.ResponseOutputTextDelta, lambda event: self.show(event.delta))
        session.on(events.ResponseDone, lambda event: self.show("\n"))
        session.on("error", lambda event: self.show(f"[{event.error.message}]\n"))
        self.root.after(LOOK_EVERY_MS, self.look)

    def look(self) -> None:
        """Dispatch what has arrived, without waiting, and come again."""
        try:
            self.session.poll()
        except rt.ConnectionClosed as error:
            self.show(f"[{error}]\n")
            return
        self.root.after(LOOK_EVERY_MS, self.look)

    def say(self, _: Any = None) -> None:
        text = self.entry.get()
        self.entry.delete(0, "end")
        self.show(f"You: {text}\nModel: ")
        self.session.send_text(text)
        self.session.create_response()  # returns at once; waits its turn while another answer is coming

    def show(self, text: str) -> None:
        self.shown.insert("end", text)
        self.shown.see("end")


def main() -> None:
    with rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]}) as session:
        Window(session).root.mainloop()


if __name__ == "__main__":
    try:
        main()
    except tkinter.TclError as error:
        sys.exit(f"No screen for the window: {error}")
    except rt.RealtimeError as error:
        sys.exit(f"{type(error).__name__}: {error}")
