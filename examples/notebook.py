# %% [markdown]
# # A session in a notebook
#
# `session.start()` dispatches events on a background thread. Your callbacks run while the kernel is free, and blocking
# calls still work in any cell. With `OPENAI_API_KEY` set this talks to OpenAI, without it to a local server.

# %%
import realtime_sync as rt
from realtime_sync import events
from realtime_sync.local import somewhere

session = rt.connect("gpt-realtime", **somewhere(), session={"output_modalities": ["text"]})
session.start()
print(session)

# %% [markdown]
# A callback, in force from now on. Run such a cell as often as you like, since `replace=True` puts the new
# function in the place of the old one; `session.off()` takes all handlers back.


# %%
def show(event: events.ResponseOutputTextDelta) -> None:
    print(event.delta, end="", flush=True)


session.on("response.output_text.delta", show, replace=True)

# %%
turn = session.respond("Tell me about notebooks.")  # returns at once

# %% [markdown]
# The callback prints the answer as it comes. `result()` waits for the end of it.

# %%
reply = turn.result()
print()
print(reply.status, reply.usage and reply.usage.total_tokens)

# %%
session.off("response.output_text.delta", show)
print(session.ask("And without the callback?").text)

# %% [markdown]
# `stop()` ends the background thread and raises what a callback raised there, if one did. The session stays open until
# `close()`.

# %%
session.stop()
session.close()
print(session)
