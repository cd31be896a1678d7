# Does what the lines on its input say, with aiocoap, and answers each with one line:
#   put PATH TEXT | big PATH BYTES | get PATH | length PATH | observe PATH | next | typed | quit
import asyncio
import sys

import aiocoap


async def main(base):
    context = await aiocoap.Context.create_client_context()
    notes = asyncio.Queue()
    observations = []
    loop = asyncio.get_running_loop()

    async def request(code, path, payload=b""):
        message = aiocoap.Message(code=code, uri=base + path, payload=payload)
        return await context.request(message).response

    async def act(verb, path, text):
        if verb == "put":
            return str((await request(aiocoap.PUT, path, text.encode())).code)
        if verb == "big":
            return str((await request(aiocoap.PUT, path, b"z" * int(text))).code)
        if verb == "get":
            answer = await request(aiocoap.GET, path)
            return f"{answer.code} {answer.payload.decode()}"
        if verb == "length":
            answer = await request(aiocoap.GET, path)
            return f"{answer.code} {len(answer.payload)}"
        if verb == "observe":
            message = aiocoap.Message(code=aiocoap.GET, uri=base + path, observe=0)
            r = context.request(message)
            first = await r.response
            r.observation.register_callback(notes.put_nowait)
            observations.append(r)
            return f"{first.code} {first.payload.decode()}"
        if verb == "next":
            return (await asyncio.wait_for(notes.get(), 60)).payload.decode()
        if verb == "typed":  # the next one, with its message's type
            note = await asyncio.wait_for(notes.get(), 60)
            return f"{note.mtype.name} {note.payload.decode()}"
        return "what?"

    while True:
        line = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
        if line in ("", "quit"):
            break
        verb, _, rest = line.partition(" ")
        path, _, text = rest.partition(" ")
        try:
            print(await act(verb, path, text), flush=True)
        except Exception as e:  # the test shows it
            print("fault:", repr(e), flush=True)


asyncio.run(main(sys.argv[1]))
