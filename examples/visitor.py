"""A visitor: one typed method for each event you care about, one for the rest."""

from __future__ import annotations

import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere


class Transcript(rt.ServerEventVisitor[None]):
    """Prints what is said, and counts what it did not look at."""

    def __init__(self, session: rt.RealtimeSession) -> None:
        self.session = session
        self.others = 0

    def visit_conversation_item_added(self, event: events.ConversationItemAdded) -> None:
        if isinstance(event.item, events.UserMessage):
            for part in event.item.content:
                if isinstance(part, events.InputText):
                    print("You:  ", part.text)

    def visit_response_output_text_done(self, event: events.ResponseOutputTextDone) -> None:
        print("Model:", event.text)

    def visit_response_done(self, event: events.ResponseDone) -> None:
        self.session.stop()

    def unknown(self, event: events.UnknownEvent) -> None:
        print("An event that this version does not know:", event.type)

    def default(self, event: events.ServerEvent) -> None:
        self.others += 1


with rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]}) as session:
    session.send_text("What is a visitor?")
    session.create_response()
    transcript = Transcript(session)
    session.run(transcript)
    print(f"({transcript.others} other events)")
