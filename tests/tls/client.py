#!/usr/bin/env python3
"""A client over TLS by Python's ssl. Lines of JSON on standard input tell it what to do, and it answers each with one.

    client.py ADDRESS AUTHORITY VERSION

ADDRESS is HOST:PORT, AUTHORITY the file of the certificate to trust, VERSION is TLSv1_2 or TLSv1_3.
"""

import json
import socket
import ssl
import struct
import sys
import time

PATIENCE_S = 30


def say(**what):
    print(json.dumps(what), flush=True)


def send(stream, _reader, text):
    stream.sendall(text.encode())
    return {}


def receive(_stream, reader, piece=1 << 20, pause_s=0):
    """Takes the next answer, so many bytes at a time with a pause behind each."""
    status = int(reader.readline().split()[1])
    headers = {}
    while line := reader.readline().strip():
        name, value = line.decode().split(":", 1)
        headers[name.lower()] = value.strip()
    body, left = b"", int(headers.get("content-length", 0))
    while left > 0:
        part = reader.read(min(left, piece))
        if not part:
            raise EOFError("the body is cut off")
        body, left = body + part, left - len(part)
        time.sleep(pause_s)
    return {"status": status, "headers": headers, "body": body.decode()}


def end(_stream, reader):
    """Reads to the end: whether that was announced."""
    rest = reader.read()
    return {"end": "announced", "rest": rest.decode()}


def close(stream, _reader):
    """Announces its own end, and waits for the server's announcement."""
    stream.unwrap()
    return {"end": "announced"}


def cut(stream, _reader):
    """Ends the connection below TLS without a word."""
    stream.shutdown(socket.SHUT_WR)
    return {}


def reset(stream, reader):
    reader.close()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.close()
    return {}


DEEDS = {"send": send, "receive": receive, "end": end, "close": close, "cut": cut, "reset": reset}


def main():
    address, authority, version = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    context.set_alpn_protocols(["h2", "http/1.1"])
    stream = socket.socket()
    stream.settimeout(PATIENCE_S)
    # Little, so that a server has to wait for one who does not read.
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    stream.connect((host, int(port)))
    say(connected=True)
    try:
        stream = context.wrap_socket(stream, server_hostname="localhost", suppress_ragged_eofs=False)
    except (ssl.SSLError, OSError) as error:
        say(error=repr(error))
        return
    say(
        version=stream.version(),
        cipher=stream.cipher()[0],
        alpn=stream.selected_alpn_protocol(),
        serial=stream.getpeercert()["serialNumber"],
    )
    reader = stream.makefile("rb")
    for line in sys.stdin:
        order = json.loads(line)
        try:
            say(**DEEDS[order.pop("do")](stream, reader, **order))
        except (ssl.SSLError, OSError, EOFError, ValueError, IndexError) as error:
            say(error=repr(error))


main()
